import { operation, type Operation, type Outcome } from '../core/backend.ts'
import { invalidRequest, notFound } from '../core/errors.ts'
import { duration, int, oneOf, text, type Input } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { ownPath, type Mount, type RotationSettings } from '../core/model.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { Rehearsal, SeenClient } from '../mounts/rehearsal.ts'
import type { Rotator } from '../mounts/rotator.ts'
import { inGrace } from '../mounts/rotation.ts'
import { isReserved } from './mount-path.ts'
import { timestamp } from './timestamp.ts'

export interface RotationOptions {
  readonly mounts: Pick<MountTable, 'find' | 'all'>
  readonly rotator: Rotator
  readonly rehearsal: Pick<Rehearsal, 'clients'>
}

const secondsMax = 30 * 86_400
const prefixForm = /^(?:[a-z0-9](?:[a-z0-9_.-]*[a-z0-9_-])?\/){0,8}(?:[a-z0-9][a-z0-9_.-]*)?$/
const prefixLengthMax = 64
const builtIn = new Set(['system', 'cubbyhole', 'identity', 'token'])
const stablePaths = ['always', 'capability', 'never'] as const
const reactions = ['log', 'webhook', 'revoke-token', 'revoke-secret-id'] as const

const pathField = { path: text('The mount\'s own path, as `aws` or `auth/approle`') }
/** How names rotate, as a caller gives it. */
export const settingFields = {
  prefix: text('What the names begin with; lower-case, and `<path>-` unless given'),
  schedule: text('When names change: a cron expression in UTC, firings at least 60 s apart; empty: by hand only'),
  grace_period: duration('How long a replaced name still answers'),
  jitter: duration('A firing comes later by less than this'),
  stable_path: text('Whether the mount\'s own path answers: `always`, `capability`, `never`'),
  on_tripwire: text('What becomes of who uses a retired name: `log`, `webhook`, `revoke-token`, `revoke-secret-id`; each includes those before it')
}

/** The mount of a request path, `auth/…` for auth methods; null: none. */
export function findByRequestPath (mounts: Pick<MountTable, 'find'>, path: string): Mount | null {
  return path.startsWith('auth/') ? mounts.find('auth', path.slice('auth/'.length)) : mounts.find('secret', path)
}

/** `sys/latchkey/rotation`: how mount names rotate, and their rotation by hand. It tells no name. */
export function createRotationOperations ({ mounts, rotator, rehearsal }: RotationOptions): Operation[] {
  function readMount (path: string | undefined): Mount {
    const mount = findByRequestPath(mounts, path ?? '')
    if (mount === null) throw notFound()
    return mount
  }

  async function configure (input: Input<typeof settingFields & typeof pathField>): Promise<Outcome> {
    const mount = readMount(input.path)
    if (builtIn.has(mount.type)) throw invalidRequest('the broker\'s own mounts keep their names')
    await rotator.configure(mount, (present) => readSettings(present, input))
    return { kind: 'none' }
  }

  return [
    operation({
      verb: 'list',
      path: 'latchkey/rotation',
      access: 'capability',
      summary: 'Lists the mounts whose names rotate.',
      fields: {},
      async run () {
        const keys = mounts.all().filter(({ rotation }) => rotation?.enabled === true).map(ownPath)
        return { kind: 'data', data: { keys } }
      }
    }),
    operation({
      verb: 'read',
      path: 'latchkey/rotation/*path',
      access: 'capability',
      summary: 'Shows how the name of a mount rotates, and not the name.',
      fields: pathField,
      async run ({ nowMs }, { path }) {
        const mount = readMount(path)
        if (mount.rotation === null || !mount.rotation.enabled) throw notFound()
        return { kind: 'data', data: describe(mount, rotator.nextAtMs(mount, nowMs)) }
      }
    }),
    operation({
      verb: 'write',
      path: 'latchkey/rotation/*path',
      access: 'capability',
      summary: 'Has the name of a mount rotate, or changes how; what is not given stays.',
      fields: { ...pathField, ...settingFields },
      run: async (_call, input) => configure(input)
    }),
    operation({
      verb: 'delete',
      path: 'latchkey/rotation/*path',
      access: 'capability',
      summary: 'Gives a mount its own path back; its names are retired at once.',
      fields: pathField,
      async run (_call, { path }) {
        await rotator.turnOff(readMount(path))
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write',
      path: 'latchkey/rotation/*path/rotate',
      access: 'capability',
      summary: 'Rotates the name of a mount now; with a grace of 0 all former names end at once.',
      fields: {
        ...pathField,
        expected_slot: int('Rotate only if this is the present slot'),
        grace: duration('Grace of the name that is left, in place of the mount\'s own')
      },
      async run (_call, { path, expected_slot: expectedSlot = null, grace = null }) {
        checkSeconds('grace', grace ?? 0)
        const { slot } = await rotator.rotate(readMount(path), { expectedSlot, graceSeconds: grace })
        return { kind: 'data', data: { slot } }
      }
    }),
    operation({
      verb: 'read',
      path: 'latchkey/rotation/*path/rehearsal',
      access: 'capability',
      summary: 'Names the clients that use the present name and were not seen to ask for it: a rotation would cut them off.',
      fields: pathField,
      async run (_call, { path }) {
        const mount = readMount(path)
        const { rotation } = mount
        if (rotation === null || !rotation.enabled) throw notFound()
        const seen = await rehearsal.clients(mount)
        const current = seen.filter(({ slot }) => slot >= rotation.slot)
        const direct = current.filter(({ resolvedSlot }) => resolvedSlot < rotation.slot)
        return {
          kind: 'data',
          data: { slot: rotation.slot, clients: direct.map(clientData), resolving: current.length - direct.length }
        }
      }
    })
  ]
}

const usual = { cron: null, graceSeconds: 300, jitterSeconds: 0, stablePath: 'always', reaction: 'log' } as const

/**
 * The settings of a mount as they shall be; what is not given stays as it is.
 *
 * @throws BrokerError `invalid_request`
 */
export function readSettings (
  mount: Pick<Mount, 'table' | 'path' | 'rotation'>, input: Input<typeof settingFields>
): RotationSettings {
  const present: RotationSettings = mount.rotation ?? { ...usual, prefix: `${mount.path}-` }
  const settings: RotationSettings = {
    prefix: input.prefix?.toLowerCase() ?? present.prefix,
    cron: input.schedule === undefined ? present.cron : input.schedule.trim() || null,
    graceSeconds: input.grace_period ?? present.graceSeconds,
    jitterSeconds: input.jitter ?? present.jitterSeconds,
    stablePath: oneOf('stable_path', stablePaths, input.stable_path) ?? present.stablePath,
    reaction: oneOf('on_tripwire', reactions, input.on_tripwire) ?? present.reaction
  }
  checkSeconds('grace_period', settings.graceSeconds)
  checkSeconds('jitter', settings.jitterSeconds)
  const { prefix } = settings
  if (prefix.length > prefixLengthMax || !prefixForm.test(prefix)) {
    throw invalidRequest('a prefix is made of lower-case letters, digits, ".", "_", "-" and "/", at most 64, and its segments begin with a letter or digit')
  }
  if (prefix.includes('/') && isReserved({ table: mount.table, path: prefix })) throw invalidRequest('the prefix is the broker\'s own')
  return settings
}

function checkSeconds (name: string, seconds: number): void {
  if (seconds > secondsMax) throw invalidRequest(`${name} is at most ${secondsMax} seconds`)
}

function describe (mount: Mount, nextAtMs: number | null): JsonObject {
  const { rotation } = mount
  if (rotation === null) return {}
  return {
    path: ownPath(mount),
    mount_accessor: mount.accessor,
    prefix: rotation.prefix,
    schedule: rotation.cron ?? '',
    grace_period: rotation.graceSeconds,
    jitter: rotation.jitterSeconds,
    stable_path: rotation.stablePath,
    on_tripwire: rotation.reaction,
    slot: rotation.slot,
    rotated_time: timestamp(rotation.startedAtMs),
    next_rotation_time: nextAtMs === null ? null : timestamp(nextAtMs),
    in_grace: inGrace(rotation).map(({ slot, endsAtMs }) => ({ slot, ends_time: timestamp(endsAtMs ?? 0) }))
  }
}

function clientData (seen: SeenClient): JsonObject {
  return {
    role_name: seen.role,
    secret_id_accessor: seen.secretIdAccessor,
    token_accessor: seen.tokenAccessor,
    address: seen.address,
    last_seen_time: timestamp(seen.lastSeenAtMs)
  }
}
