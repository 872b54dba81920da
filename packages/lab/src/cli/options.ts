/** The one table of commands and options: parser, help and docs/cli.md come from it. */

import type { Compression, Fault } from "@adastra/swarm";
import { gradientPeers } from "../bench/gradient/benchGradient.ts";
import { modelNames } from "../bench/gradient/models.ts";
import { entries as stepEntries } from "../bench/step/ours.ts";
import { peerNames } from "../bench/step/peers/index.ts";
import { defaultSizes, parseSize, type StepSize } from "../bench/step/sizes.ts";
import { dataSets } from "../data/catalogue.ts";
import { metaMethods } from "../meta/metaProblem.ts";
import { metaProblems } from "../meta/problems.ts";
import { catalogue } from "../optimizers.ts";
import { problems } from "../problems/catalogue.ts";
import { graphWords } from "../swarm/graphSpec.ts";
import { methods as swarmMethods } from "../swarm/methods.ts";
import { swarmProblems } from "../swarm/problems.ts";
import type { Skew } from "../swarm/split.ts";
import {
  address,
  among,
  amount,
  compression,
  count,
  crashes,
  type Member,
  members,
  names,
  oneOf,
  share,
  skew,
  text,
} from "./optionValues.ts";

const downloadable = dataSets
  .filter(({ set }) => set.download !== undefined)
  .map(({ set }) => set.name);
const backends = ["evaluate", "js", "wasm"] as const;
const dtypes = ["float64", "float32"] as const;
const splits = ["test", "valid"] as const;

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
  swarm: {
    problem?: string;
    methods?: readonly string[];
    rates?: readonly number[];
    seeds?: number;
    graph?: string;
    peers?: number;
    skew?: Skew;
    rounds?: number;
    tuningRounds?: number;
    localSteps?: number;
    compression?: Compression;
    consensusStep?: number;
    clip?: number;
    b1?: number;
    b2?: number;
    eps?: number;
    loss?: number;
    crash?: readonly Fault[];
    key?: string;
    members?: readonly Member[];
    invitation?: string;
    continues?: string;
    founder?: string;
    state?: string;
    metrics?: number;
    listen?: string;
    out?: string;
    json?: boolean;
  };
  meta: {
    method?: (typeof metaMethods)[number];
    rate?: number;
    zeta?: number;
    rounds?: number;
    seed?: number;
    out?: string;
    resume?: boolean;
    workers?: number;
    tasks?: number;
    shots?: number;
    coef?: number;
    split?: (typeof splits)[number];
    key?: string;
    members?: readonly Member[];
    invitation?: string;
    founder?: string;
    listen?: string;
    json?: boolean;
  };
  data: { fetch?: string; from?: string; json?: boolean };
  doctor: { json?: boolean };
}

export type CommandName = keyof CommandOptions;

export interface OptionSpec<Value> {
  /** Name of the value in help; a switch has none. */
  readonly value?: string;
  readonly description: string;
  /** What stands in help for an option that is not given. */
  readonly default?: string;
  /** Reads the value's text; `where` names command and option for the error. */
  readonly parse?: (where: string, text: string) => Value;
}

export interface CommandSpec<Options> {
  readonly summary: string;
  readonly argument?: { readonly name: string; readonly description: string };
  readonly options: {
    readonly [Key in keyof Options]-?: OptionSpec<Exclude<Options[Key], undefined>>;
  };
}

const json: OptionSpec<boolean> = { description: "print the result as JSON on standard output" };
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
  swarm: {
    summary: "train together without a server: simulate peers, or be one",
    argument: {
      name: "action",
      description:
        "simulate (compare methods on peers in virtual time, with the faults asked for), identity (show the peer id of a key), invite (found a run: sign who takes part and how), join (take part), status (what a peer of this machine is doing)",
    },
    options: {
      problem: {
        value: "name",
        description: swarmProblems.map(({ name, title }) => `${name} (${title})`).join(", "),
        default: "mnist-mlp",
        parse: (where, value) =>
          oneOf(
            where,
            value,
            swarmProblems.map(({ name }) => name),
          ),
      },
      methods: {
        value: "names",
        description: `comma-separated: ${swarmMethods.map(({ name, title }) => `${name} (${title})`).join(", ")}`,
        default: "damsgrad",
        parse: (where, value) =>
          among(
            where,
            value,
            swarmMethods.map(({ name }) => name),
          ),
      },
      rates: {
        value: "numbers",
        description:
          "comma-separated learning rates; of several each method takes the one that does best on held-out data",
        default: "0.001",
        parse: (where, value) => names(where, value).map((each) => amount(where, each)),
      },
      seeds: {
        value: "n",
        description: "runs a method, from paired seeds",
        default: "1",
        parse: count,
      },
      graph: { value: "name", description: graphWords, default: "ring", parse: text },
      peers: { value: "n", description: "peers", default: "5", parse: count },
      skew: {
        value: "words",
        description:
          "none, labels:N (N labels each, of its own as far as there are enough), or dirichlet:A (the smaller A, the more skewed)",
        default: "none",
        parse: skew,
      },
      rounds: {
        value: "n",
        description: "rounds of a run",
        default: "two passes of all peers together over the examples",
        parse: count,
      },
      tuningRounds: {
        value: "n",
        description: "rounds of a tuning run",
        default: "half of --rounds",
        parse: count,
      },
      localSteps: {
        value: "n",
        description: "gradient steps a round",
        default: "1",
        parse: count,
      },
      compression: {
        value: "form",
        description:
          "how values travel: none, bf16, int8, or topk:S with the share S of the numbers",
        default: "none",
        parse: compression,
      },
      consensusStep: {
        value: "x",
        description: "share of what mixing would do, in (0, 1]; below 1 for topk",
        default: "1",
        parse: amount,
      },
      clip: {
        value: "norm",
        description: "the most that a neighbour may change in a round",
        default: "no limit",
        parse: amount,
      },
      b1: { value: "x", description: "β₁", default: "the method's", parse: share },
      b2: { value: "x", description: "β₂", default: "the method's", parse: share },
      eps: { value: "x", description: "ε", default: "the method's", parse: amount },
      loss: {
        value: "share",
        description: "share of the messages that are lost, in [0, 1)",
        default: "0",
        parse: share,
      },
      crash: {
        value: "faults",
        description:
          "comma-separated PEER@MS or PEER@MS+MS: the peer dies at that virtual time and returns after so long",
        default: "nobody dies",
        parse: crashes,
      },
      key: {
        value: "file",
        description: "identity, invite, join: this peer's key; made where there is none",
        default: "adastra.key",
        parse: text,
      },
      members: {
        value: "peers",
        description:
          "invite: comma-separated ID@ADDRESS in the order of the graph, an address such as /ip4/192.0.2.1/tcp/4001; ID alone only dials",
        default: "none",
        parse: members,
      },
      invitation: {
        value: "file",
        description: "invite: where the invitation is written; join: the invitation",
        default: "invitation.json",
        parse: text,
      },
      continues: {
        value: "file",
        description:
          "invite: the invitation of a run that goes on, on another graph, with other members or to a later round; peers keep their state",
        default: "none: a new run",
        parse: text,
      },
      founder: {
        value: "id",
        description: "join: the peer id whose invitations are taken",
        default: "nobody's",
        parse: text,
      },
      state: {
        value: "folder",
        description: "join: checkpoints, from the last of which the peer goes on",
        default: "none are kept",
        parse: text,
      },
      metrics: {
        value: "port",
        description: "join: serve metrics for Prometheus on 127.0.0.1; status: read them",
        default: "not served",
        parse: count,
      },
      listen: {
        value: "address",
        description: "join: where to listen, where that is not what the invitation tells",
        default: "as invited",
        parse: text,
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
  meta: {
    summary:
      "learn an initialisation, and learning rates, over many tasks; judge them on tasks that were not trained on",
    argument: {
      name: "action...",
      description: `train PROBLEM, one of ${metaProblems.map(({ info }) => `${info.name} (${info.title})`).join(", ")}; evaluate FOLDER, the folder of a run; invite PROBLEM, serve and join: the clients of a run at other peers`,
    },
    options: {
      method: {
        value: "name",
        description: `train, invite: what trains within tasks: ${metaMethods.join(", ")}`,
        default: "aruba",
        parse: (where, value) => oneOf(where, value, metaMethods),
      },
      rate: {
        value: "x",
        description:
          "train, invite: the rate within tasks, of ARUBA the first one; evaluate: the rate of fine-tuning by SGD or Adam",
        default: "train: the problem's; evaluate: that of the run",
        parse: amount,
      },
      zeta: {
        value: "x",
        description:
          "train, invite: ζ of ARUBA; the smaller against gradients, the sooner tasks outweigh the first rate",
        default: "1",
        parse: amount,
      },
      workers: {
        value: "n",
        description:
          "train: processes that clients run in, with the same result; those of a round run at once unless a task goes on from what the one before learned",
        default: "none: in this process",
        parse: count,
      },
      rounds: {
        value: "n",
        description: "train, invite: rounds of tasks",
        default: "the problem's",
        parse: count,
      },
      seed: {
        value: "n",
        description: "train, invite: of everything that is drawn; evaluate: of the test tasks",
        default: "1",
        parse: count,
      },
      out: {
        value: "folder",
        description: "train, serve: where checkpoints and preset.safetensors are written",
        default: "runs/<time>",
        parse: text,
      },
      resume: { description: "train, serve: go on with the run in --out" },
      tasks: {
        value: "n",
        description: "evaluate: tasks to judge by",
        default: "1000, of clients all",
        parse: count,
      },
      shots: {
        value: "n",
        description: "evaluate: examples of a class, or points, to train on in a task",
        default: "the problem's",
        parse: count,
      },
      coef: {
        value: "x",
        description: "evaluate: c of ARUBA++",
        default: "0, plain ARUBA",
        parse: amount,
      },
      split: {
        value: "name",
        description: "evaluate: test, or valid to choose by",
        default: "test",
        parse: (where, value) => oneOf(where, value, splits),
      },
      key: {
        value: "file",
        description: "invite, serve, join: this peer's key; made where there is none",
        default: "adastra.key",
        parse: text,
      },
      members: {
        value: "peers",
        description:
          "invite: comma-separated, the server as ID@ADDRESS, with an address such as /ip4/192.0.2.1/tcp/4001, then the clients' ids",
        default: "none",
        parse: members,
      },
      invitation: {
        value: "file",
        description: "invite: where the invitation is written; serve, join: the invitation",
        default: "invitation.json",
        parse: text,
      },
      founder: {
        value: "id",
        description: "serve, join: the peer id whose invitations are taken",
        default: "nobody's",
        parse: text,
      },
      listen: {
        value: "address",
        description: "serve: where to listen, where that is not what the invitation tells",
        default: "as invited",
        parse: text,
      },
      json,
    },
  },
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
