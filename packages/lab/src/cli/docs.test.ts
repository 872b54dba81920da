import { expect, test } from "vitest";
import { renderCliDocs } from "./docs.ts";

test("docs/cli.md is what the option table says", async () => {
  await expect(renderCliDocs()).toMatchFileSnapshot("../../../../docs/cli.md");
});
