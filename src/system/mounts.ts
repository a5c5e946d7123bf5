import { operation, type Backend, type Operation, type Outcome, type TtlBounds } from '../core/backend.ts'
import { invalidRequest } from '../core/errors.ts'
import { text, type Input } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { requestPrefix, type Mount } from '../core/model.ts'
import { plainConfig, type MountTable, type NewMount } from '../mounts/mount-table.ts'
import { enableFields, mergeOptions, readConfig, tuneFields, type ConfigChange } from './mount-fields.ts'
import { mountInfo, tuneInfo } from './mount-info.ts'
import { checkMountPath, isReserved } from './mount-path.ts'

export interface MountOperationsOptions {
  readonly mounts: MountTable
  /** The backend of a type, and where it may be mounted; null: there is none. */
  readonly backendOf: (type: string) => MountableBackend | null
  /** Ends what was made through a mount, wipes it and takes it out of the table. */
  readonly unmount: (mount: Mount, nowMs: number) => Promise<void>
  readonly systemTtls: TtlBounds
  readonly version: string
}

/** A backend as the table of mounts sees it. */
export interface MountableBackend {
  readonly backend: Backend
  readonly table: Mount['table']
  readonly builtIn: boolean
  /** Options that the name of the type stands for. */
  readonly options: Readonly<Record<string, string>>
}

const builtInTypes = new Set(['system', 'cubbyhole', 'identity', 'token'])

/** sys/mounts and sys/auth (contract 5.1 to 5.3). */
export function createMountOperations (options: MountOperationsOptions): Operation[] {
  return [...tableOperations('secret', options), ...tableOperations('auth', options), ...authThroughMounts(options)]
}

function tableOperations (table: Mount['table'], options: MountOperationsOptions): Operation[] {
  const { mounts, version } = options
  const root = table === 'auth' ? 'auth' : 'mounts'
  const what = table === 'auth' ? 'auth method' : 'secrets engine'
  const access = table === 'auth' ? 'sudo' : 'capability'
  const pathField = { path: text(`Where the ${what} is mounted.`) }
  return [
    operation({
      verb: 'read',
      path: root,
      access: 'capability',
      summary: `List the mounted ${what}s`,
      mirrored: true,
      fields: {},
      run: async () => ({ kind: 'data', data: listInfo(mounts.all(table), version) })
    }),
    operation({
      verb: 'read',
      path: `${root}/*path`,
      access,
      summary: `Read a mounted ${what}`,
      mirrored: true,
      fields: pathField,
      async run (_call, { path = '' }) {
        const mount = mounts.find(table, path)
        if (mount === null) throw invalidRequest(`No ${table === 'auth' ? 'auth' : 'secret'} engine${table === 'auth' ? '' : ' mount'} at ${path}/`)
        return { kind: 'data', data: mountInfo(mount, version) }
      }
    }),
    operation({
      verb: 'write',
      path: `${root}/*path`,
      access,
      summary: `Mount a ${what}`,
      fields: { ...pathField, ...enableFields },
      run: async (_call, input) => enable(table, options, input)
    }),
    operation({
      verb: 'delete',
      path: `${root}/*path`,
      access,
      summary: `Unmount a ${what}: its leases and tokens end, its data is removed`,
      fields: pathField,
      async run ({ nowMs }, { path = '' }) {
        refuseUnmount(table, path)
        const mount = mounts.find(table, path)
        if (mount?.scope !== undefined) throw invalidRequest(`${path}/ belongs to a scope and goes with it`)
        if (mount !== null) await options.unmount(mount, nowMs)
        return { kind: 'none' }
      }
    }),
    ...tuneOperations(table, `${root}/*path/tune`, access, options)
  ]
}

/** Auth methods are also read and tuned below `sys/mounts/auth/`, without sudo (contract 5.2). */
function authThroughMounts (options: MountOperationsOptions): Operation[] {
  return [
    operation({
      verb: 'read',
      path: 'mounts/auth/*path',
      access: 'capability',
      summary: 'Read a mounted auth method',
      mirrored: true,
      fields: { path: text('Where the auth method is mounted.') },
      async run (_call, { path = '' }) {
        const mount = options.mounts.find('auth', path)
        if (mount === null) throw invalidRequest(`No auth engine at auth/${path}/`)
        return { kind: 'data', data: mountInfo(mount, options.version) }
      }
    }),
    ...tuneOperations('auth', 'mounts/auth/*path/tune', 'capability', options)
  ]
}

function tuneOperations (
  table: Mount['table'], path: string, access: Operation['access'], options: MountOperationsOptions
): Operation[] {
  const { mounts } = options
  const pathField = { path: text('The mount.') }
  const shown = (path: string) => requestPrefix({ table, path })
  return [
    operation({
      verb: 'read',
      path,
      access,
      summary: 'Read a mount\'s settings as they are in force',
      mirrored: true,
      fields: pathField,
      async run (_call, input) {
        const mount = mounts.find(table, input.path ?? '')
        if (mount === null) throw invalidRequest(`cannot fetch sysview for path "${shown(input.path ?? '')}"`)
        return { kind: 'data', data: tuneInfo(mount, mounts.ttlBounds(mount)) }
      }
    }),
    operation({
      verb: 'write',
      path,
      access,
      summary: 'Change a mount\'s settings',
      fields: { ...pathField, ...tuneFields },
      async run (call, input) {
        const mount = mounts.find(table, input.path ?? '')
        if (mount === null) throw invalidRequest(`tune of path "${shown(input.path ?? '')}" failed: no mount entry found`)
        let warnings: readonly string[] = []
        await mounts.update(mount.accessor, (present) => {
          const changed = tuned(present, input, call.request.data, options)
          warnings = checkOptions(table, options.backendOf(present.type)?.backend ?? null, changed.options, present)
          return changed
        })
        return { kind: 'none', warnings }
      }
    })
  ]
}

function listInfo (all: readonly Mount[], version: string): JsonObject {
  return Object.fromEntries(all.map((mount) => [`${mount.path}/`, mountInfo(mount, version)]))
}

async function enable (table: Mount['table'], options: MountOperationsOptions, input: MountInput): Promise<Outcome> {
  const { mount, warnings } = planMount(table, options, input)
  await options.mounts.enable(mount)
  return { kind: 'none', warnings }
}

/** A new mount as a caller asks for it. */
export type MountInput = Partial<Input<typeof enableFields & { path: ReturnType<typeof text> }>>

/** What is to be mounted, judged but for what else is mounted. @throws BrokerError `invalid_request` */
export function planMount (
  table: Mount['table'], options: Pick<MountOperationsOptions, 'backendOf' | 'systemTtls'>, input: MountInput
): { readonly mount: NewMount, readonly warnings: readonly string[] } {
  const path = (input.path ?? '').toLowerCase()
  const { type } = input
  if (type === undefined || type === '') throw invalidRequest('backend type must be specified as a string')
  refuseReserved(table, path)
  if (table === 'auth' && type === 'token') throw invalidRequest('token credential backend cannot be instantiated')
  if (builtInTypes.has(type)) throw invalidRequest(`mount type of "${type}" is not mountable`)
  const known = options.backendOf(type)
  if (known === null || known.table !== table || known.builtIn) throw invalidRequest(`plugin not found in the catalog: ${type}`)
  checkMountPath(path)
  const change = readConfig(input.config ?? {})
  if (table === 'secret' && change.tokenType !== undefined) throw invalidRequest('\'token_type\' can only be modified on auth mounts')
  const config = { ...plainConfig, ...change }
  checkTtls(config, options.systemTtls)
  const chosen = mergeOptions({ options: null }, { ...input.options, ...known.options })
  const warnings = checkOptions(table, known.backend, chosen, null)
  const mount = {
    path,
    table,
    type: known.backend.type,
    description: input.description ?? '',
    options: chosen,
    config,
    local: input.local ?? false,
    sealWrap: input.seal_wrap ?? false
  }
  return { mount, warnings }
}

function checkOptions (
  table: Mount['table'], backend: Backend | null, chosen: Mount['options'], former: Mount | null
): readonly string[] {
  if (backend?.checkOptions !== undefined) return backend.checkOptions(chosen, former)
  if (chosen?.['version'] !== undefined && former?.options?.['version'] !== chosen['version']) {
    const what = table === 'auth' ? 'auth method' : 'secrets engine'
    throw invalidRequest(`${what} "${backend?.type ?? ''}" does not allow setting a version`)
  }
  return []
}

function checkTtls ({ ttlSecondsDefault, ttlSecondsMax }: Required<Pick<ConfigChange, 'ttlSecondsDefault' | 'ttlSecondsMax'>>, system: TtlBounds) {
  if (ttlSecondsMax > 0 && ttlSecondsDefault > ttlSecondsMax) {
    throw invalidRequest('given default lease TTL greater than given max lease TTL')
  }
  if (ttlSecondsMax === 0 && ttlSecondsDefault > system.ttlSecondsMax) {
    throw invalidRequest(`given default lease TTL greater than system max lease TTL of ${system.ttlSecondsMax}`)
  }
}

function tuned (
  mount: Mount, input: Input<typeof tuneFields>, data: JsonObject, { systemTtls }: MountOperationsOptions
): Mount {
  if (builtInTypes.has(mount.type) && mount.type !== 'token') {
    const allowed = new Set(['audit_non_hmac_request_keys', 'audit_non_hmac_response_keys', 'path'])
    const other = Object.keys(input).find((name) => !allowed.has(name))
    if (other !== undefined) throw invalidRequest(`cannot tune parameter ${other} of ${mount.path}/`)
  }
  if (mount.table === 'secret' && input.token_type !== undefined) {
    throw invalidRequest('\'token_type\' can only be modified on auth mounts')
  }
  const config = { ...mount.config, ...readConfig(data) }
  const max = config.ttlSecondsMax || systemTtls.ttlSecondsMax
  if (config.ttlSecondsDefault > max) {
    throw invalidRequest(`backend max lease TTL of ${max} would be less than backend default lease TTL of ${config.ttlSecondsDefault}`)
  }
  const options = input.options === undefined ? mount.options : mergeOptions(mount, input.options)
  return { ...mount, description: input.description ?? mount.description, options, config }
}

function refuseReserved (table: Mount['table'], path: string): void {
  if (isReserved({ table, path })) throw invalidRequest(`cannot mount "${path}/"`)
}

function refuseUnmount (table: Mount['table'], path: string): void {
  if (table === 'auth' && path === 'token') throw invalidRequest('token credential backend cannot be disabled')
  if (!path.includes('/') && isReserved({ table, path })) throw invalidRequest(`cannot unmount "${path}/"`)
}
