import { expect, test } from "vitest";
import { html, jsonBlock, trusted } from "./html.ts";

test("strings are escaped, HTML is not, lists are joined", () => {
  const items = ["<a>", "b & 'c'"].map((text) => html`<li>${text}</li>`);
  expect(html`<ul title="${'"'}">${items}${trusted("<hr>")}</ul>${3}`.html).toBe(
    '<ul title="&quot;"><li>&lt;a&gt;</li>\n<li>b &amp; &#39;c&#39;</li><hr></ul>3',
  );
});

test("a data block holds no character that could end it, and reads back the same", () => {
  const value = { "</script>": "<!-- & \u2028\u2029" };
  const { html: block } = jsonBlock("data", value);
  expect(block).toBe(
    '<script type="application/json" id="data">{"\\u003c/script\\u003e":"\\u003c!-- \\u0026 \\u2028\\u2029"}</script>',
  );
  expect(JSON.parse(block.replace(/^<[^>]*>|<[^>]*>$/g, ""))).toEqual(value);
});
