/** `npm start`: installs and builds what is missing, then runs `adastra start` with the words given. */

import process from "node:process";
import { install, requireNode, run, tool } from "./prepare.mjs";

requireNode();
install();
tool("typescript/bin/tsc", "-b", "packages/lab", "packages/lab/src/report/client");
run(process.execPath, ["packages/lab/dist/cli/main.js", "start", ...process.argv.slice(2)]);
