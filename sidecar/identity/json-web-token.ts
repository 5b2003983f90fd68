import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '../../runtime/clock.ts';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import { hasDuplicateNames } from './duplicate-names.ts';
import type { Identity, Who } from './identity.ts';
import { identityOf, type KnownUsers } from './known-users.ts';

/** Node takes 16 KiB of headers in all. */
const MAX_TOKEN_LENGTH = 8 * 1024;
const MAX_NAME_BYTES = 256;

/** What a token is held against. */
export interface TokenRules {
  auth: AuthConfig;
  users: KnownUsers;
  clock: Clock;
  findKey: JWTVerifyGetKey;
  /** Told why a token is refused, in a word that holds nothing of it. */
  refused: (why: string) => void;
}

/** Who a token says is calling; undefined if it cannot be accepted, whatever is wrong with it. Never rejects. */
export async function identityOfToken(token: string, rules: TokenRules): Promise<Identity | undefined> {
  const { auth, refused, users } = rules;
  try {
    if (token.length > MAX_TOKEN_LENGTH) return void refused('it is too long');
    const claims = await checked(token, rules);
    if (token.split('.', 2).some((part) => hasDuplicateNames(Buffer.from(part, 'base64url').toString()))) {
      return void refused('a name is given twice');
    }
    return identityOfClaims(claims, auth, users) ?? void refused('a claim is missing, or is no name');
  } catch (error) {
    return void refused(error instanceof errors.JOSEError ? error.code : (error as Error).name);
  }
}

/**
 * The claims of a token that is genuine and in force. The key is the one that its `kid` names among the issuer's: `jku`,
 * `x5u`, `jwk` and `x5c` are not looked at, and a `kid` is only compared. Throws `JOSEError`.
 */
async function checked(token: string, { auth, clock, findKey }: TokenRules): Promise<JWTPayload> {
  const { algorithms, audience, clock_tolerance_seconds, issuer } = auth;
  const { payload } = await jwtVerify(token, findKey, {
    algorithms,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
    requiredClaims: ['exp'],
    clockTolerance: clock_tolerance_seconds,
    currentDate: new Date(clock.now()),
  });
  return payload;
}

/** Claims win over users.yaml. Whoever is not in it is a user all the same. */
function identityOfClaims(claims: JWTPayload, auth: AuthConfig, users: KnownUsers): Identity | undefined {
  const claim = (name: string | undefined) => (name === undefined ? undefined : claims[name]);
  const id = claim(auth.user_id_claim);
  const tenant = claim(auth.tenant_claim);
  const role = claim(auth.role_claim);
  if (!isName(id)) return undefined;
  if (tenant !== undefined && !isName(tenant)) return undefined;
  if (role !== undefined && !isName(role)) return undefined;
  const user = users.byId(id);
  const known: Identity = user
    ? identityOf(user, 'jwt')
    : { type: 'user', credentialId: 'jwt', bound: { user_id: id } };
  const bound: Who = {
    ...known.bound,
    ...(tenant !== undefined && { tenant_id: tenant }),
    ...(role !== undefined && { role }),
  };
  // Where tokens say the tenant, a user of none would be free to name any.
  if (auth.tenant_claim !== undefined && bound.tenant_id === undefined) return undefined;
  return { ...known, bound };
}

/** As in users.yaml: names go into keys and usage events. */
function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    Buffer.byteLength(value) <= MAX_NAME_BYTES &&
    !value.includes('\u0000') &&
    value.isWellFormed()
  );
}
