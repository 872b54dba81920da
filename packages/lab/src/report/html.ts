/** HTML as a value of its own type: text becomes HTML only by being escaped. */

export interface Html {
  readonly html: string;
}

type Part = string | number | Html | readonly Html[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Template tag: strings and numbers are escaped, `Html` stands as it is. Attributes must be quoted. */
export function html(literal: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: literal.reduce((text, next, i) => text + toHtml(parts[i - 1] ?? "") + next) };
}

/** HTML from a source that is trusted: our own style sheet and scripts. */
export function trusted(text: string): Html {
  return { html: text };
}

/**
 * A data block for the page's script. `<`, `>`, `&` and the line separators of JavaScript are written
 * as `\u` escapes, which JSON allows inside strings, the only place where they can stand.
 */
export function jsonBlock(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return html`<script type="application/json" id="${id}">${trusted(json)}</script>`;
}

function toHtml(part: Part): string {
  if (typeof part === "string" || typeof part === "number") {
    return String(part).replace(/[&<>"']/g, (c) => entities[c] ?? c);
  }
  return "html" in part ? part.html : part.map((p) => p.html).join("\n");
}
