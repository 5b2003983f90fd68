import { type ApiKey, credentialOfKey, gateOfKey } from '../../schemas/api-key.ts';
import type { KeyRefused } from '../keys/issued-keys.ts';
import type { Identity, Unidentified, Who } from './identity.ts';
import { type KnownUsers, whoIs } from './known-users.ts';

/** Who a key that was issued lets in; undefined: it is nobody's. */
export function identityOfKey(found: ApiKey | KeyRefused, users: KnownUsers): Identity | Unidentified | undefined {
  if ('refused' in found) return found.refused === 'unknown' ? undefined : refusedKey(found);
  const { id, team_id, tenant_id, user_id } = found;
  return {
    type: 'user',
    credentialId: credentialOfKey(id),
    gate: gateOfKey(id),
    bound: {
      ...aboutUser(found, users),
      tenant_id,
      ...(team_id !== undefined && { team_id }),
      ...(user_id !== undefined && { user_id }),
    },
    ...projectsOf(found, users),
    ...(user_id === undefined && { speaksFor: team_id === undefined ? ['team_id', 'user_id'] : ['user_id'] }),
  };
}

const refusedKey = ({ key, refused }: Exclude<KeyRefused, { refused: 'unknown' }>): Unidentified => ({
  type: 'unidentified',
  why: refused === 'revoked' ? 'revoked_key' : 'expired_key',
  credentialId: credentialOfKey(key.id),
  tenantId: key.tenant_id,
});

/** What users.yaml says of the key's user: of another tenant's it is somebody else of the same name. */
function knownUser({ tenant_id, user_id }: ApiKey, users: KnownUsers) {
  const user = user_id === undefined ? undefined : users.byId(user_id);
  return user && (user.tenant ?? tenant_id) === tenant_id ? user : undefined;
}

function aboutUser(key: ApiKey, users: KnownUsers): Who {
  const user = knownUser(key, users);
  return user ? whoIs(user) : {};
}

function projectsOf(key: ApiKey, users: KnownUsers): Pick<Identity, 'projects'> {
  const projects = knownUser(key, users)?.projects ?? [];
  return projects.length > 0 ? { projects } : {};
}
