/** What an option and a command are made of. */

export interface OptionSpec<Value> {
  /** Name of the value in help; a switch has none. */
  readonly value?: string;
  readonly description: string;
  /** What stands in help for an option that is not given. */
  readonly default?: string;
  /** Reads the value's text; `where` names command and option for the error. */
  readonly parse?: (where: string, text: string) => Value;
}

export interface CommandSpec<Options> {
  readonly summary: string;
  readonly argument?: { readonly name: string; readonly description: string };
  readonly options: {
    readonly [Key in keyof Options]-?: OptionSpec<Exclude<Options[Key], undefined>>;
  };
}

export const json: OptionSpec<boolean> = {
  description: "print the result as JSON on standard output",
};
