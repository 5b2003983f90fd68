import type { Verdict } from './sidecar.ts';

/**
 * Words by which OpenClaw takes a message for a provider's error, and puts a text of its own in its place; tried on
 * Telegram with 2026.9.6. "Allowance" and "budget" pass.
 */
const REPLACED: [RegExp, string][] = [
  [/\brate[- ]limit(ed|s)?\b/gi, 'request limit'],
  [/\btoo many requests\b/gi, 'more requests than allowed'],
  [/\busage limit(s)?\b/gi, 'budget'],
  [/\bquota(s)? exceeded\b/gi, 'allowance used up'],
  [/\bquota(s)?\b/gi, 'allowance'],
];

export const plainly = (text: string): string =>
  REPLACED.reduce((said, [pattern, instead]) => said.replace(pattern, (found) => inCaseOf(found, instead)), text);

const inCaseOf = (found: string, instead: string) =>
  /^[A-Z]/.test(found) ? `${instead.charAt(0).toUpperCase()}${instead.slice(1)}` : instead;

const BY_REASON: Record<string, string> = {
  rate_limited: 'Your request allowance is used up for the moment. Please wait a little and try again.',
  budget_exceeded: 'Your budget is used up.',
  provider_unavailable: 'The model is resting after errors of its provider. Please try again later.',
  unidentified: 'I do not know who you are, so I may not answer. Please ask the admin to add you.',
  unknown_tenant: 'This assistant is not set up for you. Please ask the admin.',
  unknown_model: 'This model is not set up here. Please ask the admin.',
  revoked_key: 'This assistant is switched off at the moment. Please ask the admin.',
};

export const refusal = ({ message, reason }: Verdict): string =>
  plainly(message || (BY_REASON[reason] ?? 'This request was not allowed. Please ask the admin.'));

export const UNREACHABLE =
  'I cannot check your budget right now, so I may not answer. Please try again in a few minutes.';
export const CHANGED_MODEL = 'Another model has just been chosen for you. Please send your message again.';

/** What the user is told beside an answer: once each, in the order they were given in. */
export const notesOf = ({ footer, message, warnings }: Verdict): string =>
  [...new Set([...warnings, message, footer].filter((line) => line !== ''))].join('\n');

export const NOT_SET_UP =
  'The budget check of this assistant is not set up, so I may not answer. Please tell the admin.';
