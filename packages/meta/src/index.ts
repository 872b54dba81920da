/** @adastra/meta: learning to learn, and federated learning. */
export {};
