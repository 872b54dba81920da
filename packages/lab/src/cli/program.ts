/** The parser that the option table makes. */

import { Command, CommanderError, Option } from "commander";
import { nearest } from "../lookUp.ts";
import type { OptionSpec } from "./optionSpec.ts";
import { type CommandName, type CommandOptions, commands, flagOf } from "./options.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** What each command does; it returns the exit code. */
export type Actions = {
  readonly [Name in CommandName]: (
    operands: readonly string[],
    options: CommandOptions[Name],
  ) => Promise<number>;
};

/**
 * Parses the words after `adastra` and runs the command they name.
 *
 * @returns the command's exit code; 0 after help or version.
 * @throws UsageError for words that no command takes.
 */
export async function runProgram(
  words: readonly string[],
  actions: Actions,
  terminal: Terminal,
  version: string,
): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(version, (name, operands, options) => {
    // Commander hands over what the table's parsers returned, so the options fit the command of that name.
    const action = actions[name] as (
      operands: readonly string[],
      options: CommandOptions[CommandName],
    ) => Promise<number>;
    return action(operands, options).then((code) => {
      exitCode = code;
    });
  });
  const silent = { writeOut: terminal.out, writeErr: () => undefined };
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput(silent);
  }
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      throw error;
    }
    if (error.exitCode === 0) {
      return 0;
    }
    throw new UsageError(describe(error, words));
  }
  return exitCode;
}

function buildProgram(
  version: string,
  act: (
    name: CommandName,
    operands: readonly string[],
    options: CommandOptions[CommandName],
  ) => Promise<void>,
): Command {
  const program = new Command("adastra")
    .description("Compares optimizers fairly, and shows what they do")
    .version(version)
    .configureHelp({ showGlobalOptions: false });
  for (const name of Object.keys(commands) as CommandName[]) {
    const { summary, argument, options } = commands[name];
    const command = program.command(name).description(summary).allowExcessArguments(false);
    if (argument !== undefined) {
      command.argument(`<${argument.name}>`, argument.description);
    }
    for (const [key, spec] of Object.entries(options) as [string, OptionSpec<unknown>][]) {
      const { value, description, parse } = spec;
      const flag = flagOf(key);
      const option = new Option(
        value === undefined ? flag : `${flag} <${value}>`,
        spec.default === undefined ? description : `${description} (default: ${spec.default})`,
      );
      if (parse !== undefined) {
        option.argParser((given) => {
          try {
            return parse(`${name}: ${flag}`, given);
          } catch (cause) {
            throw new UsageError(cause instanceof Error ? cause.message : String(cause));
          }
        });
      }
      command.addOption(option);
    }
    command.action(() => act(name, command.args, command.opts()));
  }
  return program;
}

/** Commander's complaint as one sentence of ours, with the nearest command or option. */
function describe({ code, message }: CommanderError, words: readonly string[]): string {
  const names = Object.keys(commands);
  const [first = ""] = words;
  if (code === "commander.unknownCommand" || code === "commander.help") {
    const hint = nearest(first, names);
    return `adastra: command must be one of ${names.join(", ")}, got "${first}"${hint === undefined ? "; see adastra --help" : `; did you mean "${hint}"?`}`;
  }
  const [sentence = message] = message.replace(/^error: /, "").split("\n");
  return `adastra: ${sentence}; see adastra ${names.includes(first) ? `${first} ` : ""}--help`;
}
