import { operation, type Operation } from '../../core/backend.ts'
import { parseBoundCidrs } from '../../core/cidr.ts'
import { invalidRequest, notFound, unsupportedPath } from '../../core/errors.ts'
import type { Fields } from '../../core/fields.ts'
import type { JsonObject } from '../../core/json.ts'
import { roleFields, tokenPeriod, tokenPolicies, type RoleInput } from './role-input.ts'
import { createRoleStore, parseRoleName, type Mac } from './role-store.ts'
import { checkCidrs, checkRole, checkUses, newRole, orNull, type Role } from './role.ts'

/** One parameter of a role with a path of its own (contract 2.2). */
interface RoleField {
  readonly path: string
  /** Parameters that a write reads. */
  readonly fields: Fields
  /** The parameters as the role has them. */
  readonly data: (role: Role) => JsonObject
  readonly warning?: string
  /** What a write does; null where the parameter is missing. */
  readonly apply: (role: Role, input: RoleInput) => Role | null
  /** Named where it is missing from a write. Absent: such a write changes nothing. */
  readonly missing?: string
  /** What a delete sets back to its default. */
  readonly resets: readonly (keyof Role)[]
}

const cidrWarning = 'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'

const roleFieldTable: readonly RoleField[] = [
  {
    path: 'policies',
    fields: { token_policies: roleFields.token_policies, policies: roleFields.policies },
    data: (role) => {
      const policies = foldPolicies(role.tokenPolicies)
      return { token_policies: policies, ...role.usedPoliciesAlias && { policies } }
    },
    apply: (role, input) => whenGiven(input.token_policies ?? input.policies,
      () => ({ ...role, ...tokenPolicies(role, input) })),
    missing: 'token_policies',
    resets: ['tokenPolicies', 'usedPoliciesAlias']
  },
  {
    path: 'bound-cidr-list',
    fields: { bound_cidr_list: roleFields.bound_cidr_list },
    data: (role) => ({ bound_cidr_list: orNull(role.secretIdBoundCidrs) }),
    warning: cidrWarning,
    apply: (role, input) => whenGiven(input.bound_cidr_list,
      (blocks) => ({ ...role, secretIdBoundCidrs: checkCidrs(blocks) })),
    resets: ['secretIdBoundCidrs']
  },
  {
    path: 'secret-id-bound-cidrs',
    fields: { secret_id_bound_cidrs: roleFields.secret_id_bound_cidrs },
    data: (role) => ({ secret_id_bound_cidrs: orNull(role.secretIdBoundCidrs) }),
    apply: (role, input) => whenGiven(input.secret_id_bound_cidrs,
      (blocks) => ({ ...role, secretIdBoundCidrs: checkCidrs(blocks) })),
    resets: ['secretIdBoundCidrs']
  },
  {
    path: 'token-bound-cidrs',
    fields: { token_bound_cidrs: roleFields.token_bound_cidrs },
    data: (role) => ({ token_bound_cidrs: orNull(role.tokenBoundCidrs) }),
    apply: (role, input) => whenGiven(input.token_bound_cidrs,
      (blocks) => ({ ...role, tokenBoundCidrs: parseBoundCidrs(blocks) })),
    resets: ['tokenBoundCidrs']
  },
  {
    path: 'bind-secret-id',
    fields: { bind_secret_id: roleFields.bind_secret_id },
    data: (role) => ({ bind_secret_id: role.bindSecretId }),
    apply: (role, input) => whenGiven(input.bind_secret_id, (bindSecretId) => ({ ...role, bindSecretId })),
    missing: 'bind_secret_id',
    resets: ['bindSecretId']
  },
  {
    path: 'secret-id-num-uses',
    fields: { secret_id_num_uses: roleFields.secret_id_num_uses },
    data: (role) => ({ secret_id_num_uses: role.secretIdNumUses }),
    apply: (role, input) => whenGiven(input.secret_id_num_uses,
      (uses) => ({ ...role, secretIdNumUses: checkUses('secret_id_num_uses', uses) })),
    missing: 'secret_id_num_uses',
    resets: ['secretIdNumUses']
  },
  {
    path: 'secret-id-ttl',
    fields: { secret_id_ttl: roleFields.secret_id_ttl },
    data: (role) => ({ secret_id_ttl: role.secretIdTtlSeconds }),
    apply: (role, input) => whenGiven(input.secret_id_ttl,
      (secretIdTtlSeconds) => ({ ...role, secretIdTtlSeconds })),
    missing: 'secret_id_ttl',
    resets: ['secretIdTtlSeconds']
  },
  {
    path: 'period',
    fields: { token_period: roleFields.token_period, period: roleFields.period },
    data: ({ tokenPeriodSeconds: period, usedPeriodAlias }) =>
      ({ token_period: period, ...usedPeriodAlias && { period } }),
    apply: (role, input) => whenGiven(input.token_period ?? input.period,
      () => ({ ...role, ...tokenPeriod(role, input) })),
    missing: 'period',
    resets: ['tokenPeriodSeconds', 'usedPeriodAlias']
  },
  {
    path: 'token-num-uses',
    fields: { token_num_uses: roleFields.token_num_uses },
    data: (role) => ({ token_num_uses: role.tokenNumUses }),
    apply: (role, input) => whenGiven(input.token_num_uses,
      (uses) => ({ ...role, tokenNumUses: checkUses('token_num_uses', uses) })),
    missing: 'token_num_uses',
    resets: ['tokenNumUses']
  },
  {
    path: 'token-ttl',
    fields: { token_ttl: roleFields.token_ttl },
    data: (role) => ({ token_ttl: role.tokenTtlSeconds }),
    apply: (role, input) => whenGiven(input.token_ttl, (seconds) => {
      if (role.tokenMaxTtlSeconds > 0 && seconds > role.tokenMaxTtlSeconds) {
        throw invalidRequest('token_ttl should not be greater than token_max_ttl')
      }
      return { ...role, tokenTtlSeconds: seconds }
    }),
    missing: 'token_ttl',
    resets: ['tokenTtlSeconds']
  },
  {
    path: 'token-max-ttl',
    fields: { token_max_ttl: roleFields.token_max_ttl },
    data: (role) => ({ token_max_ttl: role.tokenMaxTtlSeconds }),
    apply: (role, input) => whenGiven(input.token_max_ttl, (seconds) => {
      if (seconds > 0 && seconds < role.tokenTtlSeconds) {
        throw invalidRequest('token_max_ttl should be greater than or equal to token_ttl')
      }
      return { ...role, tokenMaxTtlSeconds: seconds }
    }),
    missing: 'token_max_ttl',
    resets: ['tokenMaxTtlSeconds']
  }
]

/** `role/<name>/<field>` for each parameter that has a path of its own: read, write, delete (contract 2.2). */
export function createRoleFieldOperations (mac: Mac): Operation[] {
  return [...roleFieldTable.flatMap((field) => operationsOf(field, mac)), readLocalSecretIds(mac)]
}

function operationsOf (field: RoleField, mac: Mac): Operation[] {
  const { name } = roleFields
  const path = `role/:name/${field.path}`
  const data = Object.keys(field.fields)[0] ?? ''
  return [
    readField(mac, field, `Reads ${data} of a role.`),
    operation({
      verb: 'write',
      path,
      access: 'capability',
      summary: `Sets ${data} of a role.`,
      fields: { ...field.fields, name },
      async run ({ store, mount }, input) {
        await createRoleStore(store, mac, mount.accessor).change(parseRoleName(input.name), (role) => {
          if (role === null) throw unsupportedPath()
          const next = field.apply(role, input)
          if (next === null && field.missing !== undefined) throw invalidRequest(`missing ${field.missing}`)
          if (next !== null) checkRole(next)
          return next
        })
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete',
      path,
      access: 'capability',
      summary: `Sets ${data} of a role back to its default.`,
      fields: { name },
      async run ({ store, mount }, input) {
        await createRoleStore(store, mac, mount.accessor).change(parseRoleName(input.name), (role) => {
          if (role === null) return null
          const defaults = newRole(role)
          const next = { ...role, ...Object.fromEntries(field.resets.map((key) => [key, defaults[key]])) }
          checkRole(next)
          return next
        })
        return { kind: 'none' }
      }
    })
  ]
}

function readField (mac: Mac, field: Pick<RoleField, 'path' | 'data' | 'warning'>, summary: string): Operation {
  return operation({
    verb: 'read',
    path: `role/:name/${field.path}`,
    access: 'capability',
    summary,
    fields: { name: roleFields.name },
    async run ({ store, mount }, input) {
      const role = await createRoleStore(store, mac, mount.accessor).find(parseRoleName(input.name))
      if (role === null) throw notFound()
      return { kind: 'data', data: field.data(role), ...field.warning !== undefined && { warnings: [field.warning] } }
    }
  })
}

/** Set when the role is made and only read afterwards. */
function readLocalSecretIds (mac: Mac): Operation {
  const data = (role: Role) => ({ local_secret_ids: role.localSecretIds })
  return readField(mac, { path: 'local-secret-ids', data }, 'Reads local_secret_ids of a role.')
}

function whenGiven<T> (value: T | undefined, change: (value: T) => Role): Role | null {
  return value === undefined ? null : change(value)
}

/** Names as a token will carry them, less `default`. */
function foldPolicies (names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.toLowerCase()))].sort()
}
