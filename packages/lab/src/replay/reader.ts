/** Reads the options of a case so that none is ignored. */

/** Options of a case, as its file has them. */
export type Options = Readonly<Record<string, unknown>>;

/** Reads options by name and remembers which were read: one left over is one that would be ignored. Null is not given. */
export class Reader {
  private readonly unread: Set<string>;
  private readonly options: Options;

  constructor(options: Options) {
    this.options = options;
    this.unread = new Set(Object.keys(options).filter((name) => (options[name] ?? null) !== null));
  }

  number(name: string): number | undefined {
    return this.typed(name, "number");
  }

  flag(name: string): boolean | undefined {
    return this.typed(name, "boolean");
  }

  text<T extends string>(name: string): T | undefined {
    return this.typed(name, "string") as T | undefined;
  }

  /** An option of any type. */
  any(name: string): unknown {
    this.unread.delete(name);
    return this.options[name];
  }

  record(name: string): Options {
    this.unread.delete(name);
    const value = this.options[name] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new TypeError(
        `replay: option \`${name}\` must be an object, got ${JSON.stringify(value)}`,
      );
    }
    return value as Options;
  }

  get leftOver(): readonly string[] {
    return [...this.unread];
  }

  private typed(name: string, type: "number"): number | undefined;
  private typed(name: string, type: "boolean"): boolean | undefined;
  private typed(name: string, type: "string"): string | undefined;
  private typed(name: string, type: string): unknown {
    this.unread.delete(name);
    const value = this.options[name];
    if (value !== undefined && value !== null && typeof value !== type) {
      throw new TypeError(
        `replay: option \`${name}\` must be a ${type}, got ${JSON.stringify(value)}`,
      );
    }
    return value ?? undefined;
  }
}

/** Drops what was not given, so that defaults apply. */
export function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // Entries that are undefined are gone, which is what the type says.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Accepts an option that has to have one of these values, or none: any other would be ignored. */
export const only = (read: Reader, name: string, ...values: readonly unknown[]): void => {
  const value = read.any(name);
  if (value !== undefined && value !== null && !values.includes(value)) {
    throw new UnsupportedError(`option ${name}: ${JSON.stringify(value)}`);
  }
};

/** A case that means something this library does not do. */
export class UnsupportedError extends Error {}
