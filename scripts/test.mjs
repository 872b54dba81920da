/** `npm test`: installs what is missing, then lint, format, types and every suite; words given go to Vitest. */

import process from "node:process";
import { install, requireNode, tool } from "./prepare.mjs";

requireNode();
install();
tool("oxlint/bin/oxlint", "--type-aware", "--deny-warnings");
tool("@biomejs/biome/bin/biome", "check");
tool("typescript/bin/tsc", "-b");
tool("vitest/vitest.mjs", "run", ...process.argv.slice(2));
