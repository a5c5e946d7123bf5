import { blocksWithin, parseBlock } from '../../core/cidr.ts'
import { invalidRequest } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'

/** A role: who may log in, and what the token will be. Durations in seconds; 0 means "not set". */
export interface Role {
  readonly name: string
  /** Drawn when the role is made; a role of the same name made later is another one (SEC-057). */
  readonly incarnation: string
  readonly roleId: string
  readonly bindSecretId: boolean
  readonly localSecretIds: boolean
  readonly secretIdBoundCidrs: readonly string[]
  readonly secretIdNumUses: number
  readonly secretIdTtlSeconds: number
  /** As they were given; a token gets them folded, once each and sorted. */
  readonly tokenPolicies: readonly string[]
  readonly tokenTtlSeconds: number
  readonly tokenMaxTtlSeconds: number
  readonly tokenExplicitMaxTtlSeconds: number
  readonly tokenPeriodSeconds: number
  readonly tokenNumUses: number
  readonly tokenNoDefaultPolicy: boolean
  readonly tokenBoundCidrs: readonly string[]
  readonly tokenType: 'default' | 'service'
  readonly tokenStrictlyBindIp: boolean
  /** Whether the deprecated names were used, which are then shown too. */
  readonly usedPoliciesAlias: boolean
  readonly usedPeriodAlias: boolean
  /** Whether its tokens are listed by its incarnation, so that all of them can be ended. Set when the role is made. */
  readonly groupsTokens?: true
}

/** A role with every parameter at its default (contract 2.1). */
export function newRole (identity: Pick<Role, 'name' | 'incarnation' | 'roleId'>): Role {
  return {
    ...identity,
    bindSecretId: true,
    localSecretIds: false,
    secretIdBoundCidrs: [],
    secretIdNumUses: 0,
    secretIdTtlSeconds: 0,
    tokenPolicies: [],
    tokenTtlSeconds: 0,
    tokenMaxTtlSeconds: 0,
    tokenExplicitMaxTtlSeconds: 0,
    tokenPeriodSeconds: 0,
    tokenNumUses: 0,
    tokenNoDefaultPolicy: false,
    tokenBoundCidrs: [],
    tokenType: 'default',
    tokenStrictlyBindIp: false,
    usedPoliciesAlias: false,
    usedPeriodAlias: false
  }
}

/**
 * Rules between the parameters of a role (contract 2.1); whatever changes a role ends here.
 *
 * @throws BrokerError `invalid_request` with the contract's sentence.
 */
export function checkRole (role: Role): void {
  if (role.tokenMaxTtlSeconds > 0 && role.tokenTtlSeconds > role.tokenMaxTtlSeconds) {
    throw invalidRequest('\'token_ttl\' cannot be greater than \'token_max_ttl\'')
  }
  if (role.tokenStrictlyBindIp && role.tokenBoundCidrs.length > 0) {
    throw invalidRequest('\'token_strictly_bind_ip\' conflicts with \'token_bound_cidrs\'; set only one')
  }
  if (!role.bindSecretId && role.secretIdBoundCidrs.length === 0 && role.tokenBoundCidrs.length === 0) {
    throw invalidRequest('at least one constraint should be enabled on the role')
  }
}

/** What a read of a role shows (contract 2.2): never its role_id. */
export function roleData (role: Role): JsonObject {
  return {
    bind_secret_id: role.bindSecretId,
    local_secret_ids: role.localSecretIds,
    secret_id_bound_cidrs: orNull(role.secretIdBoundCidrs),
    secret_id_num_uses: role.secretIdNumUses,
    secret_id_ttl: role.secretIdTtlSeconds,
    token_bound_cidrs: role.tokenBoundCidrs,
    token_explicit_max_ttl: role.tokenExplicitMaxTtlSeconds,
    token_max_ttl: role.tokenMaxTtlSeconds,
    token_no_default_policy: role.tokenNoDefaultPolicy,
    token_num_uses: role.tokenNumUses,
    token_period: role.tokenPeriodSeconds,
    token_policies: role.tokenPolicies,
    token_strictly_bind_ip: role.tokenStrictlyBindIp,
    token_ttl: role.tokenTtlSeconds,
    token_type: role.tokenType,
    ...role.usedPoliciesAlias && { policies: role.tokenPolicies },
    ...role.usedPeriodAlias && { period: role.tokenPeriodSeconds }
  }
}

/** A list as clients are shown it where an empty one is null. */
export function orNull (list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list
}

/** The store counts uses in 31 bits. */
const usesMax = 2 ** 31 - 1

/** Refuses counts that are negative or that the store could not hold. @throws BrokerError `invalid_request`. */
export function checkUses (name: string, uses: number): number {
  if (uses < 0) throw invalidRequest(`${name} cannot be negative`)
  if (uses > usesMax) throw invalidRequest(`${name} cannot be greater than ${usesMax}`)
  return uses
}

/** Blocks as they were given. @throws BrokerError `invalid_request` `<refusal>: invalid CIDR address: <text>`. */
export function checkCidrs (texts: readonly string[], refusal = 'failed to validate CIDR blocks'): readonly string[] {
  const bad = texts.find((text) => parseBlock(text) === null)
  if (bad !== undefined) throw invalidRequest(`${refusal}: invalid CIDR address: ${bad}`)
  return texts
}

/**
 * A secret_id may narrow where its role lets it be used and its tokens be used, never widen it
 * (SEC-060). Checked when it is made and again at login, since the role may have changed.
 *
 * @throws BrokerError `invalid_request`.
 */
export function checkSubset (onRole: readonly string[], onSecretId: readonly string[]): void {
  if (onRole.length === 0 || onSecretId.length === 0 || blocksWithin(onSecretId, onRole)) return
  const quoted = (texts: readonly string[]) => `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`
  throw invalidRequest(`failed to verify subset relationship between CIDR blocks on the role ${quoted(onRole)} and CIDR blocks on the secret ID ${quoted(onSecretId)}`)
}
