/** docs/cli.md, from the option table. */

import type { OptionSpec } from "./optionSpec.ts";
import { type CommandName, commands, flagOf } from "./options.ts";

/** The command line's page, in Markdown. */
export function renderCliDocs(): string {
  const sections = (Object.keys(commands) as CommandName[]).map((name) => {
    const { summary, argument, options } = commands[name];
    const rows = (Object.entries(options) as [string, OptionSpec<unknown>][]).map(
      ([key, { value, description, default: fallback }]) =>
        `| \`${flagOf(key)}${value === undefined ? "" : ` ${value}`}\` | ${description} | ${fallback ?? ""} |`,
    );
    return [
      `## adastra ${name}${argument === undefined ? "" : ` ${argument.name.toUpperCase()}`}`,
      "",
      `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
      ...(argument === undefined
        ? []
        : ["", `\`${argument.name.toUpperCase()}\`: ${argument.description}.`]),
      "",
      "| option | meaning | default |",
      "|---|---|---|",
      ...rows,
      "",
    ].join("\n");
  });
  return [
    "# The command line",
    "",
    "Written from the option table by `packages/lab/src/cli/docs.ts`; a test holds the two equal (`npx vitest run -u` rewrites this page).",
    "",
    "Exit codes: 0 all went well; 1 a trial failed, a check did not hold or a result could not be written; 2 the command line cannot be run as written; 130 stopped by Ctrl-C.",
    "",
    ...sections,
  ].join("\n");
}
