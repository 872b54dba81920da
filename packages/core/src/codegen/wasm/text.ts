/** The text form of a function: WAT with folded instructions, a statement a line. */

import type { FunctionBuilder, Node } from "./assembler.ts";

export function functionText({ name, params, locals, statements }: FunctionBuilder): string {
  const heads = [
    ...params.map((param) => `(param $${param.name} ${param.type})`),
    ...locals.map((local) => `(local $${local.name} ${local.type})`),
  ];
  return [
    `(func $${name} (export "${name}")`,
    ...indent(heads),
    ...indent(statements.flatMap(lines)),
    ")",
    "",
  ].join("\n");
}

function lines(statement: Node): string[] {
  if (statement.body === undefined) {
    return [folded(statement)];
  }
  const body = statement.body.flatMap(lines);
  return statement.op === "if"
    ? [`(if ${statement.operands.map(folded).join(" ")} (then`, ...indent(body), "))"]
    : [`(${statement.op}`, ...indent(body), ")"];
}

function folded({ op, text, operands }: Node): string {
  return `(${[op, ...text, ...operands.map(folded)].join(" ")})`;
}

function indent(text: readonly string[]): string[] {
  return text.map((line) => `  ${line}`);
}
