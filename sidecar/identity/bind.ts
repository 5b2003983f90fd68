import { Refusal } from '../routes/refusal.ts';
import { type Identity, WHO, type Who } from './identity.ts';
import { type KnownUsers, whoIs } from './known-users.ts';

type Input = Record<string, unknown>;

/**
 * The input with what is known of its caller: a user's own tenant, team, department and role where the request does not say them;
 * for a service, and for a key of a whole tenant or team, those of the user that it names, or of the sender on a channel.
 * Throws a `Refusal` with 403 for a user that claims to be somebody else: a claim is never silently replaced.
 */
export function bind(input: Input, identity: Identity, users: KnownUsers): Input {
  switch (identity.type) {
    case 'user':
      return bindUser(input, identity, users);
    case 'anonymous':
      if (named(input.user_id) !== undefined) throw forbidden('user_id', 'who is not identified may not name a user');
      return input;
    default:
      return complete(input, users);
  }
}

function bindUser(input: Input, identity: Identity, users: KnownUsers): Input {
  const { bound, projects, speaksFor = [] } = identity;
  const known: Who = speaksFor.includes('user_id') ? { ...spokenFor(input, bound, users), ...bound } : bound;
  for (const field of WHO) {
    const claimed = input[field];
    if (named(claimed) === undefined || claimed === known[field]) continue;
    // A user of no tenant may name one: where there is one organisation, users.yaml need not say which.
    if (field === 'tenant_id' && known.tenant_id === undefined) continue;
    if (known[field] === undefined && speaksFor.some((own) => own === field)) continue;
    throw forbidden(field, `this credential is not ${JSON.stringify(claimed)}`);
  }
  const project = named(input.project_id);
  if (projects && project !== undefined && !projects.includes(project as string)) {
    throw forbidden('project_id', `this credential is not of project ${JSON.stringify(project)}`);
  }
  return { ...input, ...known };
}

/** What users.yaml says of the user that a key of a tenant or team speaks for. */
function spokenFor(input: Input, bound: Who, users: KnownUsers): Who {
  const user = meant(input, users);
  if (!user) return {};
  const found = whoIs(user);
  const isOwn = (['tenant_id', 'team_id'] as const).every(
    (field) => bound[field] === undefined || found[field] === undefined || found[field] === bound[field],
  );
  if (isOwn) return found;
  // A sender is nobody's claim: it is not this tenant's user, and that is all.
  if (named(input.user_id) === undefined) return {};
  throw forbidden('user_id', `this credential is not of ${JSON.stringify(input.user_id)}`);
}

/** A service is believed; what it leaves out, users.yaml says. */
function complete(input: Input, users: KnownUsers): Input {
  const user = meant(input, users);
  if (!user) return input;
  const known = Object.entries(whoIs(user)).filter(([field]) => named(input[field]) === undefined);
  return { ...input, ...Object.fromEntries(known) };
}

/** The user of users.yaml that a request is about: the one that it names, else the sender on a channel. */
function meant({ channel, sender_id: sender, user_id: id }: Input, users: KnownUsers) {
  if (named(id) !== undefined) return typeof id === 'string' ? users.byId(id) : undefined;
  if (typeof channel !== 'string' || typeof sender !== 'string') return undefined;
  return users.bySender(channel, sender);
}

/** As for a name that is not given: null and "" are none. */
const named = (value: unknown) => (value === undefined || value === null || value === '' ? undefined : value);

const forbidden = (field: string, why: string) =>
  new Refusal(403, 'unauthorized', `input.${field}: ${why}`, [
    { code: 'forbidden', message: `input.${field}: ${why}` },
  ]);
