/** The options of `adastra swarm`. */

import type { Compression, Fault } from "@adastra/swarm";
import { graphWords } from "../swarm/graphSpec.ts";
import { methods as swarmMethods } from "../swarm/methods.ts";
import { swarmProblems } from "../swarm/problems.ts";
import type { Skew } from "../swarm/split.ts";
import { type CommandSpec, json } from "./optionSpec.ts";
import {
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

export interface SwarmOptions {
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
}

export const swarmSpec: CommandSpec<SwarmOptions> = {
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
      description: "how values travel: none, bf16, int8, or topk:S with the share S of the numbers",
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
};
