import { expect, test } from 'vitest';
import { checkRequirements } from './requirements.ts';

const METERED = ['a/b/plan', 'a/b/decision', 'a/b/allow'];
const nothing = { entrypoints: [], impureBuiltins: [] };

const check = (entrypoints: string[], builtins: string[] = [], promised: string[] = [], wanted = {}) =>
  expect(() => checkRequirements({ entrypoints, builtins }, promised, { ...nothing, ...wanted }));

test('what is whole and pure is accepted', () => {
  check(METERED, ['sprintf', 'time.date'], METERED, { entrypoints: ['a/b/allow'] }).not.toThrow();
  check(['a/decision'], []).not.toThrow();
});

test('entrypoints that are missing are named', () => {
  check([]).toThrow(/no entrypoint/);
  check(METERED, [], ['a/c']).toThrow(/promises a\/c/);
  check(METERED, [], [], { entrypoints: ['x/y'] }).toThrow(/lacks x\/y, which POLICY_ENTRYPOINTS demands/);
  check(['a/b/plan', 'c/decision']).toThrow(/a\/b\/plan without a\/b\/decision/);
});

test('built-ins that are not there, or not allowed, are named', () => {
  check(METERED, ['http.send']).toThrow(/calls http\.send/);
  check(METERED, ['time.now_ns']).toThrow(/POLICY_IMPURE_BUILTINS=time\.now_ns/);
  check(METERED, ['time.now_ns'], [], { impureBuiltins: ['time.now_ns'] }).not.toThrow();
  check(METERED, ['time.now_ns', 'rand.intn'], [], { impureBuiltins: ['time.now_ns'] }).toThrow(
    /calls rand\.intn, .*POLICY_IMPURE_BUILTINS=time\.now_ns,rand\.intn/,
  );
});
