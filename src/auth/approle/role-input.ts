import type { TtlBounds } from '../../core/backend.ts'
import { parseBoundCidrs } from '../../core/cidr.ts'
import { invalidRequest } from '../../core/errors.ts'
import { bool, commaList, duration, int, strictText, text, type Input } from '../../core/fields.ts'
import { parsePolicyName } from '../../core/policy-name.ts'
import { checkCidrs, checkRole, checkUses, type Role } from './role.ts'

/** Parameters of a role (contract 2.1). */
export const roleFields = {
  name: text('Name of the role; lower case'),
  bind_secret_id: bool('Whether a login needs a secret_id'),
  secret_id_bound_cidrs: commaList('Blocks that logins must come from'),
  bound_cidr_list: commaList('Deprecated: use "secret_id_bound_cidrs"'),
  secret_id_num_uses: int('Logins that a secret_id is good for; 0 is unlimited'),
  secret_id_ttl: duration('How long a secret_id lives; 0 is for ever'),
  role_id: strictText('Chosen role_id; drawn when the role is made without one'),
  local_secret_ids: bool('Kept for clients; set only when the role is made'),
  token_policies: commaList('Policies of the tokens'),
  policies: commaList('Deprecated: use "token_policies"'),
  token_ttl: duration('First lifetime of the tokens'),
  token_max_ttl: duration('Longest lifetime of the tokens'),
  token_explicit_max_ttl: duration('Lifetime that no renewal and no period exceeds'),
  token_period: duration('Period of the tokens; a periodic token has no other maximum'),
  period: duration('Deprecated: use "token_period"'),
  token_num_uses: int('Requests that a token is good for; 0 is unlimited'),
  token_no_default_policy: bool('Leave the policy "default" out'),
  token_bound_cidrs: commaList('Blocks that the tokens may be used from'),
  token_type: text('"service" or "default"'),
  token_strictly_bind_ip: bool('Bind each token to the address of its login')
}

/** Parameters of a role as they are given. */
export type RoleInput = Partial<Input<typeof roleFields>>

/** A role after a write, and what the writer should know about it. */
export interface Applied {
  readonly role: Role
  readonly warnings: readonly string[]
}

/**
 * Applies the given parameters to a role; absent ones stay as they are.
 *
 * @throws BrokerError `invalid_request` with the contract's sentence.
 */
export function applyRoleInput (role: Role, input: RoleInput, ttlBounds: TtlBounds): Applied {
  const warnings: string[] = []
  const next: Role = {
    ...role,
    bindSecretId: input.bind_secret_id ?? role.bindSecretId,
    secretIdBoundCidrs: checkCidrs(input.secret_id_bound_cidrs ?? input.bound_cidr_list ?? role.secretIdBoundCidrs),
    secretIdNumUses: checkUses('secret_id_num_uses', input.secret_id_num_uses ?? role.secretIdNumUses),
    secretIdTtlSeconds: input.secret_id_ttl ?? role.secretIdTtlSeconds,
    roleId: input.role_id === undefined ? role.roleId : checkRoleId(input.role_id),
    ...tokenPolicies(role, input),
    ...tokenPeriod(role, input),
    tokenTtlSeconds: input.token_ttl ?? role.tokenTtlSeconds,
    tokenMaxTtlSeconds: input.token_max_ttl ?? role.tokenMaxTtlSeconds,
    tokenExplicitMaxTtlSeconds: input.token_explicit_max_ttl ?? role.tokenExplicitMaxTtlSeconds,
    tokenNumUses: checkUses('\'token_num_uses\'', input.token_num_uses ?? role.tokenNumUses),
    tokenNoDefaultPolicy: input.token_no_default_policy ?? role.tokenNoDefaultPolicy,
    tokenBoundCidrs: parseBoundCidrs(input.token_bound_cidrs ?? role.tokenBoundCidrs),
    tokenType: input.token_type === undefined ? role.tokenType : parseTokenType(input.token_type, warnings),
    tokenStrictlyBindIp: input.token_strictly_bind_ip ?? role.tokenStrictlyBindIp
  }
  checkRole(next)
  if ((input.token_max_ttl ?? 0) > ttlBounds.ttlSecondsMax) {
    warnings.push('token_max_ttl is greater than the backend mount\'s maximum TTL value; issued tokens\' max TTL value will be truncated')
  }
  return { role: next, warnings }
}

/**
 * The policies that a write names, by the present or the deprecated parameter, as they were given.
 *
 * @throws BrokerError `invalid_request` for what is no policy's name (SEC-014).
 */
export function tokenPolicies (role: Role, input: Pick<RoleInput, 'token_policies' | 'policies'>) {
  const given = input.token_policies ?? input.policies
  if (given === undefined) return { tokenPolicies: role.tokenPolicies, usedPoliciesAlias: role.usedPoliciesAlias }
  for (const name of given) if (name.trim() !== '') parsePolicyName(name.trim())
  return { tokenPolicies: given, usedPoliciesAlias: input.token_policies === undefined }
}

/** The period that a write names, by the present or the deprecated parameter. */
export function tokenPeriod (role: Role, input: Pick<RoleInput, 'token_period' | 'period'>) {
  const given = input.token_period ?? input.period
  if (given === undefined) return { tokenPeriodSeconds: role.tokenPeriodSeconds, usedPeriodAlias: role.usedPeriodAlias }
  return { tokenPeriodSeconds: given, usedPeriodAlias: input.token_period === undefined }
}

const roleIdLengthMax = 1024

/**
 * A role_id that a login can name: logins trim what they are sent, so it has no space around it.
 *
 * @throws BrokerError `invalid_request`.
 */
export function checkRoleId (roleId: string): string {
  if (roleId === '' || roleId.trim() !== roleId || roleId.length > roleIdLengthMax) {
    throw invalidRequest('invalid role_id supplied, or failed to generate a role_id')
  }
  return roleId
}

/** Batch tokens are not offered (contract 3.8). @throws BrokerError `invalid_request`. */
function parseTokenType (type: string, warnings: string[]): Role['tokenType'] {
  if (type === '' || type === 'default') return 'default'
  if (type === 'default-service') warnings.push('default-service has no useful meaning; adjusting to service')
  if (type === 'service' || type === 'default-service') return 'service'
  throw invalidRequest(`invalid 'token_type' value ${JSON.stringify(type)}`)
}
