/**
 * Two of the models in TensorFlow.js's own operations: the MLP on its wasm backend, LeNet on its JavaScript
 * backend, since that of WebAssembly has no gradient of a convolution.
 */

import type { Clock } from "@adastra/core";
import type * as tfjs from "@tensorflow/tfjs-core";
import { whyAbsent } from "../absent.ts";
import { startTfjs, type Tf, type TfBackend, tfjsPackages } from "../tfjsBackend.ts";
import type { GradientModel, ModelName } from "./models.ts";

export interface TfjsModel {
  readonly name: string;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, ArrayLike<number>>>;
  /** Milliseconds of the first gradient after one that warmed it up. */
  readonly ms: number;
  run(repeats: number): Promise<number>;
  close(): void;
}

type Params = Readonly<Record<string, tfjs.Variable>>;

interface Written {
  readonly backend: TfBackend;
  readonly logits: (tf: Tf, p: Params, x: tfjs.Tensor) => tfjs.Tensor;
}

const dense = (tf: Tf, p: Params, name: string, x: tfjs.Tensor): tfjs.Tensor =>
  tf.add(
    tf.matMul(x as tfjs.Tensor2D, p[`${name}/kernel`] as tfjs.Tensor2D),
    of(p, `${name}/bias`),
  );

const MODELS: Partial<Record<ModelName, Written>> = {
  mlp: {
    backend: "wasm",
    logits: (tf, p, x) => {
      const hidden = tf.relu(dense(tf, p, "dense1", x));
      return dense(tf, p, "dense3", tf.relu(dense(tf, p, "dense2", hidden)));
    },
  },
  lenet: {
    backend: "cpu",
    logits: (tf, p, x) => {
      // Channels last: its JavaScript backend convolves nothing else.
      const stage = (name: string, input: tfjs.Tensor4D): tfjs.Tensor4D => {
        const kernel = tf.transpose(of(p, `${name}/kernel`), [2, 3, 1, 0]) as tfjs.Tensor4D;
        const y = tf.add(tf.conv2d(input, kernel, 1, "same"), of(p, `${name}/bias`));
        return tf.maxPool(tf.relu(y) as tfjs.Tensor4D, 2, 2, "valid");
      };
      const pictures = tf.transpose(x, [0, 2, 3, 1]) as tfjs.Tensor4D;
      const features = stage("conv2d2", stage("conv2d1", pictures));
      const flat = tf.reshape(tf.transpose(features, [0, 3, 1, 2]), [x.shape[0] as number, -1]);
      return dense(tf, p, "dense2", tf.relu(dense(tf, p, "dense1", flat)));
    },
  },
};

function of(p: Params, path: string): tfjs.Variable {
  const variable = p[path];
  if (variable === undefined) {
    throw new Error(
      `bench gradient: TensorFlow.js's model must have "${path}", got no such parameter`,
    );
  }
  return variable;
}

export async function bindTfjs(
  model: GradientModel,
  clock: Clock,
): Promise<TfjsModel | { readonly reason: string }> {
  const written = MODELS[model.name];
  if (written === undefined) {
    return { reason: `${model.name} is not written in its operations` };
  }
  const { backend, logits } = written;
  try {
    const tf = await startTfjs(backend);
    await import("@tensorflow/tfjs-layers"); // brings the gradients of all operations
    const { x, y } = model.batch;
    const inputs = tf.tensor(x?.data as Float32Array, [...(x?.shape ?? [])]); // both models take pictures
    const labels = tf.oneHot(tf.tensor1d(y?.data as Int32Array, "int32"), 10);
    const variables: Params = Object.fromEntries(
      Object.entries(model.params).map(([path, { shape, data }]) => {
        const name = `${model.name}/${path}`;
        return [path, tf.variable(tf.tensor(data, [...shape]), true, name)];
      }),
    );
    const gradient = () =>
      tf.variableGrads(() => {
        const z = logits(tf, variables, inputs);
        const logSum = tf.logSoftmax(z as tfjs.Tensor2D);
        return tf.neg(tf.mean(tf.sum(tf.mul(logSum, labels), 1))) as tfjs.Scalar;
      }, Object.values(variables));
    const run = async (repeats: number): Promise<number> => {
      await tf.setBackend(backend);
      const began = clock.now();
      for (let i = 0; i < repeats; i++) {
        const { value, grads } = gradient();
        value.dataSync(); // both backends compute when told to
        tf.dispose([value, grads]);
      }
      return (clock.now() - began) / repeats;
    };
    const first = gradient();
    const loss = first.value.dataSync()[0] as number;
    const gradients = Object.fromEntries(
      Object.keys(variables).map((path) => [
        path,
        first.grads[`${model.name}/${path}`]?.dataSync() ?? [],
      ]),
    );
    tf.dispose([first.value, first.grads]);
    return {
      name: `TensorFlow.js ${tf.version_core}, ${backend}`,
      loss,
      gradients,
      ms: await run(1),
      run,
      close: () => tf.dispose([inputs, labels, variables]),
    };
  } catch (error) {
    return { reason: whyAbsent(error, tfjsPackages(backend)) };
  }
}
