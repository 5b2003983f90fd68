/**
 * What budgets.yaml promises, worked out a second time: plain arithmetic on the file as it is read, for days and months that
 * begin at midnight UTC and on the 1st. It knows nothing of plans, counters or policies.
 */
type Action = 'soft_limit' | 'hard_stop' | 'reduced_priority';
type Period = 'day' | 'month';
type Limits = { daily_tokens?: number; monthly_tokens?: number; action?: Action };

export interface BudgetsFile {
  per_user_budgets: {
    default_limits: Limits;
    user_overrides: Record<string, Limits>;
    role_limits: Record<string, number>;
    warnings: { at_percent: number; message: string }[];
    on_approaching_limit: { action: string; message_template: string };
    include_budget_in_response: boolean;
    budget_footer: string;
    on_limit_exceeded: {
      action: Action;
      soft_limit: { message: string; notify_admin: boolean };
      hard_stop: { message: string; status_code: number };
      reduced_priority: { force_model: string; message: string };
    };
  };
  department_budgets: Record<string, Limits>;
  project_budgets: Record<string, Limits>;
  team_budgets: Record<string, Limits>;
  tenant_budgets: Record<string, Limits>;
}

export interface ModelRequest {
  user?: string | undefined;
  role?: string | undefined;
  department?: string | undefined;
  project?: string | undefined;
  team?: string | undefined;
  tenant: string;
  model?: string | undefined;
  tokens: number;
}

/** What was used before the request, by budget: `user day`, `team month`. What is not there is unused. */
export type Used = Record<string, number>;

interface Budget {
  of: string;
  id: string;
  period: Period;
  limit: number;
  action: Action;
}

/** A budget before and after the request. */
interface Line extends Budget {
  before: number;
  after: number;
}

const FIELD = { day: 'daily_tokens', month: 'monthly_tokens' } as const;
const PERIODS: Period[] = ['day', 'month'];

/** A user's daily limit: the override's where it names one, else the smaller of the default and the role's. */
function limitOfUser({ per_user_budgets: file }: BudgetsFile, user: string, role: string, period: Period): number {
  const override = file.user_overrides[user]?.[FIELD[period]];
  if (override !== undefined) return override;
  const usual = file.default_limits[FIELD[period]] ?? Infinity;
  return Math.min(usual, period === 'day' ? (file.role_limits[role] ?? Infinity) : Infinity);
}

export function budgetsOf(file: BudgetsFile, { user, role = '', ...request }: ModelRequest): Budget[] {
  const usual = file.per_user_budgets.on_limit_exceeded.action;
  const own = PERIODS.map((period) => ({
    of: 'user',
    id: user ?? '',
    period,
    limit: limitOfUser(file, user ?? '', role, period),
    action: usual,
  }));
  const groups = (['department', 'project', 'team', 'tenant'] as const).flatMap((of) => {
    const id = request[of] ?? '';
    const rule = file[`${of}_budgets`][id] ?? {};
    return PERIODS.map((period) => {
      return { of, id, period, limit: rule[FIELD[period]] ?? Infinity, action: rule.action ?? usual };
    });
  });
  return [...(user ? own : []), ...groups].filter(({ limit }) => limit < Infinity);
}

const percent = ({ limit }: Line, used: number) => Math.floor((100 * used) / limit);

const reached = ({ limit }: Line, at: number, used: number) => 100 * used >= at * limit;

const crosses = (line: Line, at: number) => reached(line, at, line.after) && !reached(line, at, line.before);

const resetOf = ({ period }: Budget, now: Date): Date =>
  period === 'day'
    ? new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1))
    : new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1));

function fill(text: string, line: Line, used: number, now: Date): string {
  return text
    .replaceAll('{percent_used}', `${percent(line, used)}`)
    .replaceAll('{period}', line.period === 'day' ? 'daily' : 'monthly')
    .replaceAll('{tokens_used}', `${used}`)
    .replaceAll('{tokens_limit}', `${line.limit}`)
    .replaceAll('{tokens_remaining}', `${Math.max(0, line.limit - used)}`)
    .replaceAll('{reset_time}', resetOf(line, now).toISOString());
}

/** The one with the most of something; of several the first. */
const most = (lines: Line[], of: (line: Line) => number): Line | undefined =>
  lines.reduce<Line | undefined>((best, line) => (best && of(best) >= of(line) ? best : line), undefined);

export function expectedDecision(file: BudgetsFile, request: ModelRequest, used: Used, now: Date) {
  const { hard_stop, reduced_priority, soft_limit } = file.per_user_budgets.on_limit_exceeded;
  const lines = budgetsOf(file, request).map((budget): Line => {
    const before = used[`${budget.of} ${budget.period}`] ?? 0;
    return { ...budget, before, after: before + request.tokens };
  });
  const beyond = lines.filter(({ after, limit }) => after > limit);
  const stopping = beyond.filter(({ action }) => action === 'hard_stop');
  // The one to wait for the longest; for a call that is larger than the whole budget no wait is long enough.
  const wait = (line: Line) => (request.tokens > line.limit ? Infinity : resetOf(line, now).getTime());
  const stop = most(stopping, wait);
  if (stop) {
    const message = fill(hard_stop.message, stop, stop.before, now);
    const denial = { allow: false, reason: 'budget_exceeded', status: hard_stop.status_code, message };
    return { ...denial, warnings: [], obligations: {} };
  }
  const worst = most(beyond, (line) => percent(line, line.after));
  const isReduced = beyond.some(({ action }) => action === 'reduced_priority');
  const isRouted = isReduced && request.model !== reduced_priority.force_model;
  const reason = isRouted ? 'routed_cheaper' : worst ? 'over_soft_limit' : 'ok';
  const text = isReduced ? reduced_priority.message : soft_limit.message;
  return {
    allow: true,
    reason,
    status: 200,
    message: worst ? fill(text, worst, worst.after, now) : '',
    warnings: warningsOf(file, lines, now),
    obligations: {
      ...(isRouted && { force_model: reduced_priority.force_model }),
      ...footerOf(file, lines, now),
      ...noticesOf(file, lines),
    },
  };
}

/** Of several thresholds at once the highest is told to the user, of several budgets the most used in the template. */
function warningsOf({ per_user_budgets: file }: BudgetsFile, lines: Line[], now: Date): string[] {
  const crossing = lines.filter((line) => line.of === 'user' && file.warnings.some((w) => crosses(line, w.at_percent)));
  const shown = most(crossing, (line) => percent(line, line.after));
  if (!shown) return [];
  const daily = crossing.filter(({ period }) => period === 'day');
  const texts = daily.flatMap((line) => {
    const crossed = file.warnings.filter((warning) => crosses(line, warning.at_percent));
    return crossed.sort((a, b) => b.at_percent - a.at_percent).slice(0, 1);
  });
  const template = file.on_approaching_limit.action === 'warn' ? [file.on_approaching_limit.message_template] : [];
  return [...texts.map(({ message }) => message), ...template].map((text) => fill(text, shown, shown.after, now));
}

function footerOf({ per_user_budgets: file }: BudgetsFile, lines: Line[], now: Date) {
  const own = lines.filter(({ of }) => of === 'user');
  const shown = most(own, (line) => percent(line, line.after));
  if (!shown || !file.include_budget_in_response) return {};
  return { footer: fill(file.budget_footer, shown, shown.after, now) };
}

/** Every threshold of every budget; that a soft limit is used up, only where the file says so. */
function noticesOf({ per_user_budgets: file }: BudgetsFile, lines: Line[]) {
  const isTold = ({ action }: Budget, at: number) =>
    at < 100 || action !== 'soft_limit' || file.on_limit_exceeded.soft_limit.notify_admin;
  const notices = lines.flatMap((line) => {
    const levels = [...new Set([...file.warnings.map(({ at_percent }) => at_percent), 100])].sort((a, b) => a - b);
    return levels
      .filter((at) => crosses(line, at) && isTold(line, at))
      .map((at) => ({
        to: 'admin',
        kind: 'budget',
        limit: `${line.of}:${line.id}:tokens:${line.period}`,
        percent: at,
      }));
  });
  return notices.length ? { notify: notices } : {};
}
