/** The one table of commands and options: parser, help and docs/cli.md come from it. */

import { gradientPeers } from "../bench/gradient/benchGradient.ts";
import { modelNames } from "../bench/gradient/models.ts";
import { entries as stepEntries } from "../bench/step/ours.ts";
import { peerNames } from "../bench/step/peers/index.ts";
import { defaultSizes, parseSize, type StepSize } from "../bench/step/sizes.ts";
import { dataSets } from "../data/catalogue.ts";
import { catalogue } from "../optimizers.ts";
import { problems } from "../problems/catalogue.ts";
import { type MetaOptions, metaSpec } from "./metaOptions.ts";
import { type CommandSpec, json, type OptionSpec } from "./optionSpec.ts";
import { address, among, amount, count, names, oneOf, text } from "./optionValues.ts";
import { type SwarmOptions, swarmSpec } from "./swarmOptions.ts";

const downloadable = dataSets
  .filter(({ set }) => set.download !== undefined)
  .map(({ set }) => set.name);
const backends = ["evaluate", "js", "wasm"] as const;
const dtypes = ["float64", "float32"] as const;

/** What each command gets; an option that the table below lacks fails to compile. */
export interface CommandOptions {
  start: { out?: string; workers?: number; json?: boolean };
  compare: {
    optimizers?: readonly string[];
    trials?: number;
    seeds?: number;
    epochs?: number;
    tuningEpochs?: number;
    searchSeed?: number;
    workers?: number;
    out?: string;
    json?: boolean;
  };
  replay: {
    problems?: string;
    case?: string;
    backend?: (typeof backends)[number];
    dtype?: (typeof dtypes)[number];
    out?: string;
  };
  bench: {
    sizes?: readonly StepSize[];
    rounds?: number;
    optimizers?: readonly string[];
    models?: readonly string[];
    threads?: readonly number[];
    peers?: readonly string[];
    out?: string;
    json?: boolean;
  };
  swarm: SwarmOptions;
  meta: MetaOptions;
  data: { fetch?: string; from?: string; json?: boolean };
  doctor: { json?: boolean };
}

export type CommandName = keyof CommandOptions;

const workers: OptionSpec<number> = {
  value: "n",
  description: "trials at a time, each on a thread of its own",
  default: "as many as cores",
  parse: count,
};
const out: OptionSpec<string> = {
  value: "folder",
  description: "where comparison.json and report.html are written",
  default: "runs/<time>",
  parse: text,
};

export const commands: { readonly [Name in CommandName]: CommandSpec<CommandOptions[Name]> } = {
  start: {
    summary: "compare seven optimizers on MNIST in under a minute and open the result",
    options: { out, workers, json },
  },
  compare: {
    summary: "compare optimizers on a problem: equal tuning budget, paired seeds",
    argument: {
      name: "problem",
      description: problems.map(({ info }) => `${info.name} (${info.title})`).join(", "),
    },
    options: {
      optimizers: {
        value: "names",
        description: `comma-separated: ${catalogue.map(({ name }) => name).join(", ")}`,
        default: "adashift,adam,momentum",
        parse: names,
      },
      trials: {
        value: "n",
        description: "tuning trials an optimizer",
        default: "the problem's",
        parse: count,
      },
      seeds: {
        value: "n",
        description: "runs at the best rate an optimizer, from paired seeds",
        default: "the problem's",
        parse: count,
      },
      epochs: {
        value: "x",
        description: "epochs of a run, 0.5 for half of one",
        default: "the problem's",
        parse: amount,
      },
      tuningEpochs: {
        value: "x",
        description: "epochs of a tuning trial",
        default: "the problem's, at most --epochs",
        parse: amount,
      },
      searchSeed: {
        value: "n",
        description: "seed of the draw of learning rates",
        default: "1",
        parse: count,
      },
      workers,
      out,
      json,
    },
  },
  replay: {
    summary: "feed recorded gradients through an optimizer and compare each step with the record",
    argument: { name: "file...", description: "golden traces of schema optim-golden/1" },
    options: {
      problems: {
        value: "file",
        description: "recorded gradients, where a trace names a problem",
        default: "problems.json beside the trace",
        parse: text,
      },
      case: { value: "id", description: "only this case", default: "all", parse: text },
      backend: {
        value: "name",
        description: "evaluate, js or wasm",
        default: "evaluate",
        parse: (where, value) => oneOf(where, value, backends),
      },
      dtype: {
        value: "name",
        description: "float64 or float32",
        default: "float64",
        parse: (where, value) => oneOf(where, value, dtypes),
      },
      out: {
        value: "file",
        description: "where the parameters after every step are written",
        default: "nowhere",
        parse: text,
      },
    },
  },
  bench: {
    summary: "measure against named peers in one interleaved run, outputs compared first",
    argument: {
      name: "question",
      description:
        "step (how long an optimizer step takes, and how close that is to moving its bytes), gradient (how long the gradient of a model takes) or swarm (how fast peers exchange, against plain TCP, and how many rounds a simulated graph takes a second)",
    },
    options: {
      sizes: {
        value: "sizes",
        description:
          "step and swarm: comma-separated numbers of parameters such as 1k or 2.5M, and model; a step over 10M takes 7 GB of memory with all peers",
        default: `${defaultSizes.join(",")}; swarm 100k,1M,5M`,
        parse: (where, value) => names(where, value).map((name) => parseSize(where, name)),
      },
      rounds: {
        value: "n",
        description: "rounds, at least 3 for what is slow",
        default: "31",
        parse: count,
      },
      optimizers: {
        value: "names",
        description: `step: comma-separated: ${stepEntries.map(({ name }) => name).join(", ")}`,
        default: "all",
        parse: (where, value) =>
          among(
            where,
            value,
            stepEntries.map(({ name }) => name),
          ),
      },
      models: {
        value: "names",
        description: `gradient: comma-separated: ${modelNames.join(", ")}`,
        default: "all",
        parse: (where, value) => among(where, value, modelNames),
      },
      threads: {
        value: "numbers",
        description: "gradient: comma-separated numbers of threads",
        default: "1,2",
        parse: (where, value) => names(where, value).map((each) => count(where, each)),
      },
      peers: {
        value: "names",
        description: `comma-separated, or none; step: ${peerNames.join(", ")}; gradient: ${gradientPeers.join(", ")}; PyTorch runs in the Python that ADASTRA_PYTHON names`,
        default: "all",
        parse: (where, value) =>
          value === "none"
            ? []
            : among(where, value, [...new Set([...peerNames, ...gradientPeers])]),
      },
      out: {
        value: "file",
        description: "where the result is written as JSON",
        default: "nowhere",
        parse: text,
      },
      json,
    },
  },
  swarm: swarmSpec,
  meta: metaSpec,
  data: {
    summary:
      "list the data sets, where each lies and the hashes of what was read; download one when asked",
    options: {
      fetch: {
        value: "name",
        description: `download this one into ADASTRA_DATA_DIR or the cache, checked by its hashes: ${downloadable.join(", ")}`,
        default: "nothing is downloaded",
        parse: (where, value) => oneOf(where, value, downloadable),
      },
      from: {
        value: "url",
        description: "folder that --fetch downloads from",
        default: "where it is published",
        parse: address,
      },
      json,
    },
  },
  doctor: {
    summary: "say what runs on this machine, what is missing and how to get it",
    options: { json },
  },
};

/** `--tuning-epochs` for `tuningEpochs`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
