import { parse } from 'yaml';
import type { BudgetsFile } from './budget-model.ts';

export const ACTIONS = ['soft_limit', 'hard_stop', 'reduced_priority'] as const;

const groups = (limits: string) =>
  ACTIONS.map((action) => `  g_${action}: { ${limits}, action: ${action} }`).join('\n');

/** A file with every kind of budget, of which each text tells all numbers. */
export const tableText = (action: string, more = '') => `
per_user_budgets:
  default_limits: { daily_tokens: 50000, monthly_tokens: 1000000 }
  user_overrides:
    user_alice: { daily_tokens: 100000, monthly_tokens: 2000000 }
    user_carol: { monthly_tokens: 300000 }
    user_odd: { daily_tokens: 12345 }
  role_limits: { admin: 200000, developer: 100000, viewer: 10000 }
  reset_schedule: { daily_reset_time: "00:00", monthly_reset_day: 1, timezone: UTC }
  rollover: { enabled: false, max_rollover_tokens: 100000 }
  warnings:
    - { at_percent: 75, message: "Three quarters: {tokens_used} of {tokens_limit}" }
    - { at_percent: 90, message: "Nearly all: {tokens_used} of {tokens_limit}" }
  on_approaching_limit:
    action: warn
    message_template: "{percent_used}% of your {period} budget. Remaining: {tokens_remaining}. Resets: {reset_time}"
  include_budget_in_response: true
  budget_footer: "Your usage: {tokens_used}/{tokens_limit} tokens ({percent_used}%), {period}. Resets: {reset_time}"
  on_limit_exceeded:
    action: ${action}
    soft_limit: { message: "Over the {period} {tokens_limit} by now: {tokens_used} ({percent_used}%)", notify_admin: true }
    hard_stop: { message: "The {period} {tokens_limit} have {tokens_remaining} left, until {reset_time}", status_code: 429 }
    reduced_priority: { force_model: anthropic/claude-3-haiku, message: "Over the {period} {tokens_limit}. Haiku." }
${more}
department_budgets:
  g_none: { daily_tokens: 80000, monthly_tokens: 900000 }
${groups('daily_tokens: 80000, monthly_tokens: 900000')}
project_budgets:
  g_none: { daily_tokens: 12345 }
${groups('daily_tokens: 12345')}
team_budgets:
  g_none: { monthly_tokens: 700000 }
${groups('monthly_tokens: 700000')}
tenant_budgets:
  g_none: { daily_tokens: 60000, monthly_tokens: 600000 }
${groups('daily_tokens: 60000, monthly_tokens: 600000')}
`;

export const tableFile = (action: string): BudgetsFile => parse(tableText(action));
