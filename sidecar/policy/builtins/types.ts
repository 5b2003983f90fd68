/**
 * Built-ins by name. Arguments are JSON values, a set comes as an array. `undefined` is what OPA's built-in error gives:
 * the expression is undefined.
 */
// biome-ignore lint/suspicious/noExplicitAny: OPA's compiler and the checks inside hold the arguments to their types
export type Builtins = Record<string, (...args: any[]) => unknown>;
