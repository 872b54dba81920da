/** What libp2p needs of the language and Node 20 lacks. */

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason?: unknown) => void;
}

/** Defines `Promise.withResolvers` where it is missing, as ECMAScript 2024 has it. */
export function provideWithResolvers(): void {
  const promise = Promise as { withResolvers?: <T>() => Resolvers<T> };
  promise.withResolvers ??= <T>(): Resolvers<T> => {
    let settle: Omit<Resolvers<T>, "promise"> | undefined;
    const made = new Promise<T>((resolve, reject) => {
      settle = { resolve, reject };
    });
    return { promise: made, ...(settle as Omit<Resolvers<T>, "promise">) };
  };
}
