import { expect, test } from 'vitest';
import type { Verdict } from './sidecar.ts';
import { notesOf, plainly, refusal } from './wording.ts';

const VERDICT: Verdict = {
  allow: false,
  decisionId: 'd',
  reason: 'ok',
  message: '',
  warnings: [],
  footer: '',
  forceModel: undefined,
};

test.each([
  ['Rate limit reached, wait 10 s', 'Request limit reached, wait 10 s'],
  ['Too many requests.', 'More requests than allowed.'],
  ['Usage limit reached', 'Budget reached'],
  ['Quota exceeded for today', 'Allowance used up for today'],
  ['You exceeded your current quota', 'You exceeded your current allowance'],
  ['Your daily budget is used up.', 'Your daily budget is used up.'],
])('%s', (text, said) => {
  expect(plainly(text)).toBe(said);
});

test('a refusal without a message says why', () => {
  expect(refusal({ ...VERDICT, reason: 'unidentified' })).toMatch(/do not know who you are/);
  expect(refusal({ ...VERDICT, reason: 'new' })).toMatch(/not allowed/);
  expect(refusal({ ...VERDICT, message: 'Over.' })).toBe('Over.');
});

test('notes are said once each', () => {
  expect(notesOf({ ...VERDICT, warnings: ['75 %', 'Over.'], message: 'Over.', footer: '1 of 2' })).toBe(
    '75 %\nOver.\n1 of 2',
  );
  expect(notesOf(VERDICT)).toBe('');
});
