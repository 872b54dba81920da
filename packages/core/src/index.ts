/** @adastra/core: optimizers as expression programs, compiled to WebAssembly SIMD and JavaScript. */

export { availableBackends } from "./codegen/backends.ts";
export type { DType } from "./codegen/kernel.ts";
export type {
  ArrayOf,
  Changes,
  CompiledOptimizer,
  CompileOptions,
  StepOptions,
  StepResult,
} from "./compiledOptimizer.ts";
export { compileOptimizer } from "./compileOptimizer.ts";
export type {
  Clock,
  GradientResult,
  GradientSource,
  Leaf,
  Leaves,
  NumericArray,
  Random,
} from "./contracts.ts";
export type { NonFinite, NonFiniteArray } from "./diagnose.ts";
export { diagnose, firstNonFinite } from "./diagnose.ts";
export { NonFiniteError, ShapeMismatchError } from "./errors.ts";
export type { Operand } from "./expr/build.ts";
export {
  abs,
  add,
  and,
  bf16,
  bf16Stochastic,
  byLeaf,
  choose,
  clamp,
  delay,
  div,
  eq,
  floor,
  ge,
  gt,
  le,
  lerp,
  lt,
  max,
  maximum,
  mean,
  min,
  mul,
  neg,
  not,
  or,
  roundoff,
  select,
  size,
  sqrt,
  square,
  sub,
  sum,
  uniform,
  windowSum,
} from "./expr/build.ts";
export { cosPi, erf, exp, expm1, log, pow, tanh } from "./expr/math.ts";
export { newtonSchulz } from "./expr/newtonSchulz.ts";
export type { Choice, Expr, LeafInfo, NewtonSchulz, Scope } from "./expr/node.ts";
export type { Guard, GuardedResult, GuardOptions } from "./guard.ts";
export { guard } from "./guard.ts";
export type { Magnitude, Statistics, TensorStatistics, ValueStatistics } from "./inspect.ts";
export type {
  Hyperparameter,
  Hyperparameters,
  Moments,
  NamedInputs,
  Optimizer,
  Phase,
  StateFormat,
  StateSpec,
  StepInputs,
  StepOutputs,
} from "./optimizer.ts";
export {
  decayRate,
  defineOptimizer,
  nonNegative,
  perColumn,
  perElement,
  perRow,
  perStep,
  perTensor,
  positive,
  share,
} from "./optimizer.ts";
export type { AdabeliefOptions } from "./optimizers/adabelief.ts";
export { adabelief } from "./optimizers/adabelief.ts";
export type { AdaboundOptions } from "./optimizers/adabound.ts";
export { adabound } from "./optimizers/adabound.ts";
export type { AdadeltaOptions } from "./optimizers/adadelta.ts";
export { adadelta } from "./optimizers/adadelta.ts";
export type { AdafactorOptions } from "./optimizers/adafactor.ts";
export { adafactor } from "./optimizers/adafactor.ts";
export type { AdagradOptions } from "./optimizers/adagrad.ts";
export { adagrad } from "./optimizers/adagrad.ts";
export type { AdaiOptions } from "./optimizers/adai.ts";
export { adai } from "./optimizers/adai.ts";
export type { AdamOptions, AdamWOptions, AmsgradOptions } from "./optimizers/adam.ts";
export { adam, adamw, amsgrad } from "./optimizers/adam.ts";
export type { AdamaxOptions } from "./optimizers/adamax.ts";
export { adamax } from "./optimizers/adamax.ts";
export type { AdamncOptions } from "./optimizers/adamnc.ts";
export { adamnc } from "./optimizers/adamnc.ts";
export type { AdanOptions } from "./optimizers/adan.ts";
export { adan } from "./optimizers/adan.ts";
export type { AdaShiftOptions, Phi } from "./optimizers/adashift.ts";
export { adashift } from "./optimizers/adashift.ts";
export type { Cdf, CPropOptions } from "./optimizers/cprop.ts";
export { cprop, cpropAdam, cpropSgd } from "./optimizers/cprop.ts";
export type { FastAdaBeliefOptions, StronglyConvexOptions } from "./optimizers/fastAdaBelief.ts";
export { fastAdaBelief, sadam } from "./optimizers/fastAdaBelief.ts";
export type { LambOptions } from "./optimizers/lamb.ts";
export { lamb } from "./optimizers/lamb.ts";
export type { LarsOptions } from "./optimizers/lars.ts";
export { lars } from "./optimizers/lars.ts";
export type { LionOptions } from "./optimizers/lion.ts";
export { lion } from "./optimizers/lion.ts";
export type { MuonCoefficients, MuonOptions } from "./optimizers/muon.ts";
export { muon } from "./optimizers/muon.ts";
export type { NadamOptions } from "./optimizers/nadam.ts";
export { nadam } from "./optimizers/nadam.ts";
export type { PadamOptions } from "./optimizers/padam.ts";
export { padam } from "./optimizers/padam.ts";
export type { ProdigyOptions } from "./optimizers/prodigy.ts";
export { prodigy } from "./optimizers/prodigy.ts";
export type { RadamOptions } from "./optimizers/radam.ts";
export { radam } from "./optimizers/radam.ts";
export type { RmspropOptions } from "./optimizers/rmsprop.ts";
export { rmsprop } from "./optimizers/rmsprop.ts";
export type { RpropOptions } from "./optimizers/rprop.ts";
export { rprop } from "./optimizers/rprop.ts";
export type { ScheduleFreeAdamWOptions, ScheduleFreeOptions } from "./optimizers/scheduleFree.ts";
export { scheduleFreeAdamW, scheduleFreeSgd } from "./optimizers/scheduleFree.ts";
export type { SgdOptions } from "./optimizers/sgd.ts";
export { sgd } from "./optimizers/sgd.ts";
export type { AdamsOptions, SgdsOptions, StableDecayOptions } from "./optimizers/stableDecay.ts";
export { adams, sgds } from "./optimizers/stableDecay.ts";
export type { YogiOptions } from "./optimizers/yogi.ts";
export { yogi } from "./optimizers/yogi.ts";
export { mulberry32 } from "./random.ts";
export type { CosineEnd, CosineOptions, CosineRestartsOptions } from "./schedules/cosine.ts";
export { cosine, cosineRestarts } from "./schedules/cosine.ts";
export type { ExponentialOptions, LinearOptions, PolynomialOptions } from "./schedules/decay.ts";
export { exponential, inverseSqrt, linear, polynomial, stepDecay } from "./schedules/decay.ts";
export type { Interpolation } from "./schedules/interpolation.ts";
export type { OneCycleOptions } from "./schedules/oneCycle.ts";
export { oneCycle } from "./schedules/oneCycle.ts";
export type { BoundariesAndScales } from "./schedules/piecewise.ts";
export { piecewise, piecewiseConstant } from "./schedules/piecewise.ts";
export type {
  PlateauSchedule,
  PlateauState,
  ReduceOnPlateauOptions,
} from "./schedules/reduceOnPlateau.ts";
export { reduceOnPlateau } from "./schedules/reduceOnPlateau.ts";
export type { Schedule } from "./schedules/schedules.ts";
export { constant, join } from "./schedules/schedules.ts";
export type { WarmupOptions } from "./schedules/warmup.ts";
export { exponentialWarmup, warmup } from "./schedules/warmup.ts";
export type { WsdDecay, WsdOptions } from "./schedules/wsd.ts";
export { wsd } from "./schedules/wsd.ts";
export type { LeafState, OptimizerState } from "./state.ts";
export { accumulate } from "./transforms/accumulate.ts";
export type { EmaOptions, SwaOptions } from "./transforms/averages.ts";
export { ema, polyak, swa } from "./transforms/averages.ts";
export type { CentraliseOptions } from "./transforms/centralise.ts";
export { centralise } from "./transforms/centralise.ts";
export { chain } from "./transforms/chain.ts";
export type { AdaptiveClipOptions, Units } from "./transforms/clip.ts";
export {
  adaptiveClip,
  clipByGlobalNorm,
  clipByTensorNorm,
  clipByValue,
} from "./transforms/clip.ts";
export { compress } from "./transforms/compress.ts";
export type { GroupMember } from "./transforms/group.ts";
export { group } from "./transforms/group.ts";
export type { LookaheadOptions } from "./transforms/lookahead.ts";
export { lookahead } from "./transforms/lookahead.ts";
export type { NoiseOptions } from "./transforms/noise.ts";
export { noise } from "./transforms/noise.ts";
export { type LeafMask, splitLeaves } from "./transforms/patterns.ts";
export type { SamOptions } from "./transforms/sam.ts";
export { sam } from "./transforms/sam.ts";
export type { DecayOptions, WeightDecayOptions } from "./transforms/weightDecay.ts";
export { decoupledWeightDecay, l2 } from "./transforms/weightDecay.ts";
export type { Tree } from "./tree.ts";
export { flatten, sameShape, sizeOf } from "./tree.ts";
