import { operation, type MountStore, type Operation } from '../../core/backend.ts'
import { parseBoundCidrs } from '../../core/cidr.ts'
import { invalidRequest, notFound } from '../../core/errors.ts'
import { bool, commaList, duration, int, text, type Input } from '../../core/fields.ts'
import type { JsonObject } from '../../core/json.ts'
import { parsePolicyName } from '../../core/policy-name.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { retryConflicts } from '../../core/retry.ts'

/** What tokens made by a role are like (contract 3.7). Seconds; 0 means "not set". */
export interface TokenRole {
  readonly name: string
  readonly allowedPolicies: readonly string[]
  readonly disallowedPolicies: readonly string[]
  readonly allowedPoliciesGlob: readonly string[]
  readonly disallowedPoliciesGlob: readonly string[]
  readonly orphan: boolean
  readonly renewable: boolean
  readonly pathSuffix: string
  readonly periodSeconds: number
  readonly explicitMaxTtlSeconds: number
  readonly boundCidrs: readonly string[]
  readonly noDefaultPolicy: boolean
  readonly usesMax: number
  readonly tokenType: string
  /** Which of the deprecated names were used, so that they are read back. */
  readonly oldNames: readonly string[]
}

const fields = {
  name: text('Name of the role.'),
  allowed_policies: commaList('Policies that may be asked for.'),
  disallowed_policies: commaList('Policies that no token of the role has.'),
  allowed_policies_glob: commaList('Patterns of policies that may be asked for.'),
  disallowed_policies_glob: commaList('Patterns of policies that no token of the role has.'),
  orphan: bool('Whether tokens have no parent.'),
  renewable: bool('Whether tokens can be renewed.'),
  path_suffix: text('Ends the path of the tokens, by which they are listed.'),
  allowed_entity_aliases: commaList('Accepted and ignored.'),
  token_period: duration('Renewal reaches this far, again and again.'),
  token_explicit_max_ttl: duration('Hard end, from the issue.'),
  token_bound_cidrs: commaList('Addresses that tokens may be used from.'),
  token_no_default_policy: bool('Leaves the policy `default` out.'),
  token_num_uses: int('Uses of a token; 0: unlimited.'),
  token_type: text('service or default-service.'),
  period: duration('Old name of token_period.'),
  explicit_max_ttl: duration('Old name of token_explicit_max_ttl.'),
  bound_cidrs: commaList('Old name of token_bound_cidrs.')
}

const tokenTypes = new Set(['service', 'default-service', 'batch', 'default-batch'])
const suffixPattern = /^\w[\w.-]+\w$/

const rolePath = (name: string) => `role/${name}`

/** The role of a name; null where there is none. */
export async function findTokenRole (store: MountStore, name: string): Promise<TokenRole | null> {
  const [entry] = await store.get([rolePath(name.toLowerCase())])
  return entry ? decodeRecord<TokenRole>(entry.value) : null
}

/** auth/token/roles. */
export function createTokenRoleOperations (): Operation[] {
  return [
    operation({
      verb: 'list',
      path: 'roles',
      access: 'capability',
      summary: 'List token roles',
      fields: {},
      async run ({ store }) {
        const page = await store.list('role/', { limit: 1000 })
        return { kind: 'data', data: { keys: page.map(({ name }) => name) } }
      }
    }),
    operation({
      verb: 'read',
      path: 'roles/:name',
      access: 'capability',
      summary: 'Read a token role',
      fields: { name: fields.name },
      async run ({ store }, { name = '' }) {
        const role = await findTokenRole(store, name)
        if (role === null) throw notFound()
        return { kind: 'data', data: roleInfo(role) }
      }
    }),
    operation({
      verb: 'write',
      path: 'roles/:name',
      access: 'capability',
      summary: 'Create a token role, or change the fields that are given',
      fields,
      bareFieldErrors: true,
      exists: async ({ store }, { name = '' }) => await findTokenRole(store, name) !== null,
      async run ({ store }, input) {
        await writeRole(store, input)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete',
      path: 'roles/:name',
      access: 'capability',
      summary: 'Delete a token role; its tokens can no longer be renewed',
      fields: { name: fields.name },
      async run ({ store }, { name = '' }) {
        await store.commit([{ op: 'delete', key: store.key(rolePath(name.toLowerCase())) }], { strong: true })
        return { kind: 'none' }
      }
    })
  ]
}

async function writeRole (store: MountStore, input: Input<typeof fields>): Promise<void> {
  const name = (input.name ?? '').toLowerCase()
  await retryConflicts(async () => {
    const [entry] = await store.get([rolePath(name)])
    const role = changed(entry ? decodeRecord<TokenRole>(entry.value) : newRole(name), input)
    await store.commit([{
      op: 'put',
      key: store.key(rolePath(name)),
      value: encodeRecord(role),
      names: [rolePath(name)],
      expect: entry?.stamp ?? 'absent'
    }], { strong: true })
  })
}

function newRole (name: string): TokenRole {
  return {
    name,
    allowedPolicies: [],
    disallowedPolicies: [],
    allowedPoliciesGlob: [],
    disallowedPoliciesGlob: [],
    orphan: false,
    renewable: true,
    pathSuffix: '',
    periodSeconds: 0,
    explicitMaxTtlSeconds: 0,
    boundCidrs: [],
    noDefaultPolicy: false,
    usesMax: 0,
    tokenType: 'default-service',
    oldNames: []
  }
}

function changed (role: TokenRole, input: Input<typeof fields>): TokenRole {
  refuseMalformed(input)
  const cidrs = input.token_bound_cidrs ?? input.bound_cidrs
  const old = (['period', 'explicit_max_ttl', 'bound_cidrs'] as const).filter((name) => input[name] !== undefined)
  const merged: TokenRole = {
    ...role,
    allowedPolicies: named(input.allowed_policies) ?? role.allowedPolicies,
    disallowedPolicies: named(input.disallowed_policies) ?? role.disallowedPolicies,
    allowedPoliciesGlob: folded(input.allowed_policies_glob) ?? role.allowedPoliciesGlob,
    disallowedPoliciesGlob: folded(input.disallowed_policies_glob) ?? role.disallowedPoliciesGlob,
    orphan: input.orphan ?? role.orphan,
    renewable: input.renewable ?? role.renewable,
    pathSuffix: input.path_suffix ?? role.pathSuffix,
    periodSeconds: input.token_period ?? input.period ?? role.periodSeconds,
    explicitMaxTtlSeconds: input.token_explicit_max_ttl ?? input.explicit_max_ttl ?? role.explicitMaxTtlSeconds,
    boundCidrs: cidrs === undefined ? role.boundCidrs : parseBoundCidrs(cidrs),
    noDefaultPolicy: input.token_no_default_policy ?? role.noDefaultPolicy,
    usesMax: input.token_num_uses ?? role.usesMax,
    tokenType: input.token_type ?? role.tokenType,
    oldNames: [...new Set([...role.oldNames, ...old])]
  }
  if (merged.tokenType === 'batch') refuseBatch(merged)
  return merged
}

function refuseMalformed (input: Input<typeof fields>): void {
  if (input.path_suffix !== undefined && input.path_suffix !== '' && !suffixPattern.test(input.path_suffix)) {
    throw invalidRequest('given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w')
  }
  if (input.token_type !== undefined && !tokenTypes.has(input.token_type)) {
    throw invalidRequest(`invalid 'token_type' value "${input.token_type}"`)
  }
  if ((input.token_num_uses ?? 0) < 0) throw invalidRequest('\'token_num_uses\' cannot be negative')
}

function named (names: readonly string[] | undefined): string[] | undefined {
  return names === undefined ? undefined : [...new Set(names.filter((name) => name !== '').map(parsePolicyName))].sort()
}

function folded (names: readonly string[] | undefined): string[] | undefined {
  return names === undefined ? undefined : [...new Set(names.map((name) => name.toLowerCase()))].sort()
}

/** Why a batch role is wrong, in the contract's order; one that would be right is refused as unsupported. */
function refuseBatch (role: TokenRole): never {
  const prefix = '\'token_type\' cannot be \'batch\' when role is set to generate'
  if (!role.orphan) throw invalidRequest(`${prefix} non-orphan tokens`)
  if (role.periodSeconds > 0) throw invalidRequest(`${prefix} periodic tokens`)
  if (role.renewable) throw invalidRequest(`${prefix} renewable tokens`)
  if (role.explicitMaxTtlSeconds > 0) throw invalidRequest(`${prefix} tokens with an explicit max TTL`)
  throw invalidRequest('invalid \'token_type\' value "batch"')
}

function roleInfo (role: TokenRole): JsonObject {
  const old = (name: string, seconds: number) => role.oldNames.includes(name) ? seconds : 0
  return {
    name: role.name,
    allowed_policies: role.allowedPolicies,
    disallowed_policies: role.disallowedPolicies,
    allowed_policies_glob: role.allowedPoliciesGlob,
    disallowed_policies_glob: role.disallowedPoliciesGlob,
    allowed_entity_aliases: null,
    orphan: role.orphan,
    renewable: role.renewable,
    path_suffix: role.pathSuffix,
    period: old('period', role.periodSeconds),
    token_period: role.periodSeconds,
    explicit_max_ttl: old('explicit_max_ttl', role.explicitMaxTtlSeconds),
    token_explicit_max_ttl: role.explicitMaxTtlSeconds,
    token_type: role.tokenType,
    token_no_default_policy: role.noDefaultPolicy,
    ...(role.boundCidrs.length > 0 && { token_bound_cidrs: role.boundCidrs }),
    ...(role.boundCidrs.length > 0 && role.oldNames.includes('bound_cidrs') && { bound_cidrs: role.boundCidrs }),
    ...(role.usesMax > 0 && { token_num_uses: role.usesMax })
  }
}
