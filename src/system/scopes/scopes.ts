import { operation, type Call, type Operation, type Outcome } from '../../core/backend.ts'
import { invalidRequest, notFound, permissionDenied } from '../../core/errors.ts'
import type { Input } from '../../core/fields.ts'
import { drawUuid } from '../../core/ids.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import type { Mount } from '../../core/model.ts'
import type { Store } from '../../core/store.ts'
import type { MountTable } from '../../mounts/mount-table.ts'
import { timestamp } from '../timestamp.ts'
import type { NewSecretId, ScopeNames, ScopeRoles } from './ports.ts'
import {
  firstSecretId, readScope, readSecretIdTerms, scopeFields, secretIdFields, type AskedScope, type PlanMount
} from './scope-input.ts'
import { createScopeRights, type ScopeRightsOptions } from './scope-rights.ts'
import { createScopeStore } from './scope-store.ts'
import { createScopeWork, type MadeScope, type ScopeWorkOptions } from './scope-work.ts'
import { policyNameOf, readScopeName, roleNameOf, roleOf, underWay, type Scope, type ScopePlan } from './scope.ts'

/** Scopes of one broker; each has mounts in the memory of all. */
const scopesMax = 1000

export interface ScopesOptions extends Omit<ScopeWorkOptions, 'scopes'>, Omit<ScopeRightsOptions, 'mounts'> {
  readonly store: Store
  readonly mounts: MountTable
  readonly names: ScopeNames
  readonly roles: ScopeRoles
  readonly planMount: PlanMount
}

/**
 * `sys/latchkey/scopes`: what somebody needs to work for himself, made and taken away at once: KV mounts
 * of his own, an AppRole role, a policy for just that, and a secret_id.
 */
export function createScopes (options: ScopesOptions) {
  const { store, mounts, names, roles } = options
  const scopes = createScopeStore(store)
  const work = createScopeWork({ ...options, scopes })
  const refuseBeyond = createScopeRights(options)

  async function make (call: Call, input: Input<typeof scopeFields>): Promise<Outcome> {
    const { token, nowMs } = call
    if (token === null) throw permissionDenied()
    const name = readScopeName(input.name)
    const asked = readScope(input, call.request.data, token, options.planMount)
    refuseBeyond(token, name, asked.plan)
    const present = await scopes.find(name)
    if (present !== null) return again(present.scope, asked.plan, nowMs)
    const auth = authOf(asked.plan)
    const warnings = await judge(name, asked, auth, nowMs)
    const scope: Scope = {
      id: drawUuid(), name, state: 'making', createdAtMs: nowMs, authAccessor: auth.accessor, plan: asked.plan
    }
    const made = await work.make(scope, asked, auth, nowMs)
    return { kind: 'data', data: newData(made), warnings, wrappedAccessor: made.secretId.accessor }
  }

  /** What can be known to fail fails before anything is made. */
  async function judge (name: string, { plan }: AskedScope, auth: Mount, nowMs: number): Promise<readonly string[]> {
    if ((await scopes.list(scopesMax)).length === scopesMax) throw invalidRequest(`there are ${scopesMax} scopes already`)
    for (const { path, rotation } of plan.mounts) {
      if (rotation !== null) names.check(rotation)
      const taken = mounts.findTaken({ table: 'secret', path })
      if (taken !== null) throw invalidRequest(`path is already in use at ${taken}/`)
    }
    return roles.judge(work.siteOf(auth, nowMs), roleNameOf(name), plan.role, firstSecretId(plan))
  }

  function authOf ({ auth }: ScopePlan): Mount {
    const mount = mounts.find('auth', auth)
    if (mount?.type !== 'approle' || mount.state !== 'live') throw invalidRequest(`there is no AppRole method at auth/${auth}/`)
    return mount
  }

  /** Who asks for what is there already learns all but the secret_id, which was told once. */
  async function again (scope: Scope, plan: ScopePlan, nowMs: number): Promise<Outcome> {
    if (scope.state !== 'made') throw underWay(scope)
    if (JSON.stringify(scope.plan) !== JSON.stringify(plan)) {
      throw invalidRequest('the scope is there already and was made otherwise: remove it first')
    }
    const auth = mounts.byAccessor(scope.authAccessor)
    const roleId = auth === null ? null : await roles.findRoleId(work.siteOf(auth, nowMs), roleOf(scope))
    const warning = `the scope is there already; another secret_id of it is made at sys/latchkey/scopes/${scope.name}/secret-id`
    return { kind: 'data', data: { ...common(scope), role_id: roleId, mounts: ownMounts(scope, outlined) }, warnings: [warning] }
  }

  async function read (rawName: string | undefined): Promise<Scope> {
    const held = await scopes.find(readScopeName(rawName))
    if (held === null) throw notFound()
    return held.scope
  }

  async function makeSecretId (call: Call, input: Input<typeof secretIdFields>): Promise<Outcome> {
    if (call.token === null) throw permissionDenied()
    const scope = await read(input.name)
    const terms = readSecretIdTerms(input, call.request.data, call.token, scope.plan)
    if (scope.state !== 'made') throw underWay(scope)
    const auth = mounts.byAccessor(scope.authAccessor)
    if (auth === null) throw invalidRequest('the auth method of the scope is gone')
    const made = await roles.makeSecretId(work.siteOf(auth, call.nowMs), roleOf(scope), terms)
    return { kind: 'data', data: secretIdData(made), wrappedAccessor: made.accessor }
  }

  function newData ({ scope, roleId, secretId, mounts: made }: MadeScope): JsonObject {
    const own = made.map((mount): [string, Json] =>
      [mount.path, { ...outlined(mount), name: mounts.presentName(mount) }])
    return { ...common(scope), role_id: roleId, ...secretIdData(secretId), mounts: Object.fromEntries(own) }
  }

  function common (scope: Scope): JsonObject {
    return { name: scope.name, auth: scope.plan.auth, role_name: roleNameOf(scope.name), policy: policyNameOf(scope) }
  }

  function ownMounts ({ id, plan }: Scope, describe: (mount: Mount, at: ScopePlan['mounts'][number]) => JsonObject): JsonObject {
    return Object.fromEntries(plan.mounts.flatMap((own): [string, Json][] => {
      const mount = mounts.find('secret', own.path)
      return mount?.scope === id ? [[own.path, describe(mount, own)]] : []
    }))
  }

  function describe (scope: Scope): JsonObject {
    const { plan } = scope
    return {
      ...common(scope),
      state: scope.state,
      created_time: timestamp(scope.createdAtMs),
      mounts: ownMounts(scope, (mount, { version, capabilities }) =>
        ({ ...outlined(mount), version, capabilities, rotates: mount.rotation?.enabled === true })),
      grants: Object.fromEntries(plan.grants.map(({ path, capabilities }) => [path, capabilities])),
      ...plan.role
    }
  }

  const operations: Operation[] = [
    operation({
      verb: 'list',
      path: 'latchkey/scopes',
      access: 'capability',
      summary: 'Lists the scopes.',
      fields: {},
      run: async () => ({ kind: 'data', data: { keys: await scopes.list(scopesMax) } })
    }),
    operation({
      verb: 'read',
      path: 'latchkey/scopes/:name',
      access: 'capability',
      summary: 'Shows what a scope holds, and no name that rotates.',
      fields: { name: scopeFields.name },
      run: async (_call, { name }) => ({ kind: 'data', data: describe(await read(name)) })
    }),
    operation({
      verb: 'write',
      path: 'latchkey/scopes/:name',
      access: 'capability',
      summary: 'Makes a scope: mounts of its own, an AppRole role with a policy for just them, a secret_id.',
      fields: scopeFields,
      run: make
    }),
    operation({
      verb: 'delete',
      path: 'latchkey/scopes/:name',
      access: 'capability',
      summary: 'Removes a scope: its logins and tokens end, its mounts go with all that they hold.',
      fields: { name: scopeFields.name },
      async run ({ nowMs }, { name }) {
        await work.remove(readScopeName(name), nowMs)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write',
      path: 'latchkey/scopes/:name/secret-id',
      access: 'capability',
      summary: 'Makes another secret_id of a scope, which is shown this once.',
      fields: secretIdFields,
      run: makeSecretId
    })
  ]
  return { operations, dueHandlers: work.dueHandlers }
}

function outlined ({ accessor, path }: Mount): JsonObject {
  return { accessor, path }
}

function secretIdData ({ secretId, accessor, record }: NewSecretId): JsonObject {
  return {
    secret_id: secretId,
    secret_id_accessor: accessor,
    secret_id_ttl: record.ttlSeconds,
    secret_id_num_uses: record.numUses
  }
}
