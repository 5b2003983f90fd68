import type { AgentContext } from 'openclaw/plugin-sdk/plugin-entry';
import type { NamedUser, Settings } from './settings.ts';

/** Who a run is for, in the names of the sidecar's input. */
export interface Who {
  tenant_id?: string;
  user_id?: string;
  agent_id?: string;
  channel?: string;
  sender_id?: string;
}

type Rules = Pick<Settings, 'tenant' | 'user' | 'users'>;
type Parts = Record<'agent' | 'channel' | 'account' | 'sender', string | undefined>;

/**
 * Never from the session: all of Telegram's direct messages share one, whoever writes. A sender that the channel does not
 * name has no user.
 */
export function whoOf(ctx: AgentContext, rules: Rules): Who {
  const parts = {
    agent: ctx.agentId || undefined,
    channel: ctx.channel || undefined,
    account: ctx.accountId || undefined,
    sender: ctx.senderId || undefined,
  };
  const named = namedUser(parts, rules.users);
  const tenant = named.tenant ?? filled(rules.tenant, parts);
  const user = named.user ?? (rules.user === undefined ? undefined : filled(rules.user, parts));
  return {
    ...(tenant && { tenant_id: tenant }),
    ...(user && { user_id: user }),
    ...(parts.agent && { agent_id: parts.agent }),
    ...(parts.channel && { channel: parts.channel }),
    ...(parts.sender && { sender_id: parts.sender }),
  };
}

/** Whoever has no sender: over HTTP, on the command line, by the clock. */
const NO_SENDER = 'none';

/** The most precise entry there is. */
function namedUser({ account, channel, sender }: Parts, users: Rules['users']): NamedUser {
  if (channel === undefined || sender === undefined) return users.get(channel ?? '') ?? users.get(NO_SENDER) ?? {};
  return users.get(`${channel}:${account}:${sender}`) ?? users.get(`${channel}:${sender}`) ?? {};
}

/** Undefined where the run lacks one of its parts. */
function filled(template: string, parts: Parts): string | undefined {
  let lacks = false;
  const text = template.replace(/\{(\w+)\}/g, (_whole, name: string) => {
    const part = parts[name as keyof Parts];
    if (part === undefined) lacks = true;
    return part ?? '';
  });
  return lacks ? undefined : text;
}
