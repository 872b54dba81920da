/** The module of the worker. */

import { serveTraining } from "../src/worker/index.ts";
import { train } from "./servedTraining.ts";

serveTraining(train);
