import { setTimeout as pause } from 'node:timers/promises'
import { operation, type Call, type Operation } from '../core/backend.ts'
import { BrokerError, invalidRequest, permissionDenied } from '../core/errors.ts'
import { any, text } from '../core/fields.ts'
import { drawUuid } from '../core/ids.ts'
import type { Json } from '../core/json.ts'
import { requestPrefix, type Mount, type Token } from '../core/model.ts'
import { withoutSlashes } from '../core/path.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, SYS, type Entry, type Key, type Put, type Stamp, type Store } from '../core/store.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { Acl } from '../policies/acl.ts'
import { checkMountPath, isReserved } from './mount-path.ts'

export interface RemountOptions {
  readonly store: Store
  readonly mounts: MountTable
  /** Ends the leases that a mount's engine made, or the tokens that its logins made. Repeatable. */
  readonly endMount: (mount: Mount) => Promise<unknown>
  readonly aclFor: (policies: readonly string[]) => Pick<Acl, 'check'>
  /** How long the answer to a move waits for its end: some clients take the answer for it. 0: not at all. */
  readonly waitMs: number
}

/** Where a mount is, or shall be. */
type Place = Pick<Mount, 'table' | 'path'>

/** A move, from its acceptance until nobody asks for it any more. */
interface Move {
  readonly id: string
  readonly accessor: string
  readonly from: Place
  readonly to: Place
  readonly status: 'in-progress' | 'success' | 'failure'
}

/** Longer than another broker's table may be old, so that nothing more is made at the old path when its leases are ended. */
const settleMs = 2000
/** How long the end of a move is told. */
const rememberedMs = 86_400_000
const queued = 'Mount move has been queued. Progress will be reported in Latchkey\'s server log, tagged with the returned migration_id'
const idForm = /^[0-9a-f-]{36}$/

const moveKey = (id: string): Key => key(SYS, `remount/${id}`)

/**
 * Moves mounts (contract 5.4). The mount is marked and the move noted in one step; some moments
 * later, when every broker refuses requests at the old path, whoever sweeps first ends what the
 * mount made and gives it its new path, again in one step with the note. A crash leaves the note
 * due, and the new path is kept for the mount until then.
 */
export function createRemount ({ store, mounts, endMount, aclFor, waitMs }: RemountOptions) {
  function putMove (move: Move, dueAtMs: number): Put {
    return { op: 'put', key: moveKey(move.id), value: encodeRecord(move), dueAtMs }
  }

  /** Whether a caller may make and tune a mount at a path: of a move both ends are asked for (SEC-245). */
  function mayAdminister ({ policies }: Token, { table, path }: Place): boolean {
    const place = `sys/${table === 'auth' ? 'auth' : 'mounts'}/${path}`
    const verdict = aclFor(policies).check({ path: place, operation: 'update', data: null, wrapTtlSeconds: null })
    return verdict.allowed && (table === 'secret' || verdict.sudo)
  }

  /** A success is told once this broker serves the new path, and not when another one has noted it. */
  function knownStatus ({ accessor, to, status }: Move): Move['status'] {
    const mount = mounts.byAccessor(accessor)
    return mount?.state === 'moving' && mount.target === to.path ? 'in-progress' : status
  }

  async function begin ({ token, nowMs }: Call, rawFrom: Json | undefined, rawTo: Json | undefined): Promise<string> {
    if (typeof rawFrom !== 'string' || typeof rawTo !== 'string' || rawFrom === '' || rawTo === '') {
      throw invalidRequest('both \'from\' and \'to\' path must be specified as a string')
    }
    const from = placeOf(rawFrom, 'from')
    const to = placeOf(rawTo.toLowerCase(), 'to')
    if (token === null || !mayAdminister(token, from) || !mayAdminister(token, to)) throw permissionDenied()
    checkPlaces(from, to)
    const mount = mounts.find(from.table, from.path)
    if (mount === null || mount.state !== 'live') throw invalidRequest(`no matching mount at "${shown(from)}"`)
    if (mount.scope !== undefined) throw invalidRequest(`"${shown(from)}" belongs to a scope and stays where it is`)
    const taken = mounts.findTaken(to)
    if (taken !== null) throw invalidRequest(`path already in use at "${shown({ ...to, path: taken })}"`)
    const move: Move = { id: drawUuid(), accessor: mount.accessor, from, to, status: 'in-progress' }
    await mounts.update(mount.accessor, (present) => {
      if (present.state !== 'live' || present.path !== from.path) throw invalidRequest(`no matching mount at "${shown(from)}"`)
      return { ...present, state: 'moving', target: to.path }
    }, [putMove(move, nowMs + settleMs)])
    await untilArrived(mount.accessor)
    return move.id
  }

  async function untilArrived (accessor: string): Promise<void> {
    const deadlineMs = performance.now() + waitMs
    while (performance.now() < deadlineMs && mounts.byAccessor(accessor)?.state === 'moving') await pause(50)
  }

  async function advance (move: Move, expect: Stamp, nowMs: number): Promise<void> {
    const ended = (status: Move['status']) => ({ ...putMove({ ...move, status }, nowMs + rememberedMs), expect })
    await mounts.load()
    const mount = mounts.byAccessor(move.accessor)
    if (mount?.state === 'moving') {
      await endMount(mount)
      await mounts.update(mount.accessor, arrive, [ended('success')])
    } else {
      await store.commit([ended('failure')])
    }
  }

  return {
    operations: [
      operation({
        verb: 'write',
        path: 'remount',
        access: 'sudo',
        summary: 'Move a mount: its data stay, its leases and tokens end',
        mirrored: true,
        fields: { from: any('Where it is mounted; an auth method\'s begins with auth/.'), to: any('Where it shall be.') },
        async run (call, { from, to }) {
          return { kind: 'data', data: { migration_id: await begin(call, from, to) }, warnings: [queued] }
        }
      }),
      operation({
        verb: 'read',
        path: 'remount/status/:migration_id',
        access: 'capability',
        summary: 'Read how far a move is',
        fields: { migration_id: text('As the move was answered.') },
        async run (_call, { migration_id: id = '' }) {
          const [entry] = idForm.test(id) ? await store.get([moveKey(id)]) : []
          if (!entry) return { kind: 'none' }
          const move = decodeRecord<Move>(entry.value)
          const info = { source_mount: shown(move.from), target_mount: shown(move.to), status: knownStatus(move) }
          return { kind: 'data', data: { migration_id: id, migration_info: info } }
        }
      })
    ] satisfies Operation[],

    /** The sweeper's handler for moves that are due: to go on, or to be forgotten. */
    async finish (entries: readonly Entry[], nowMs: number): Promise<void> {
      for (const entry of entries) {
        const move = decodeRecord<Move>(entry.value)
        if (move.status === 'in-progress') await advance(move, entry.stamp, nowMs)
        else await store.commit([{ op: 'delete', key: entry.key, expect: entry.stamp }])
      }
    }
  }
}

/** A mount at the end of its way. @throws BrokerError where somebody else took it off meanwhile. */
function arrive ({ target, ...mount }: Mount): Mount {
  if (mount.state !== 'moving' || target === undefined) throw new BrokerError('failed', 'the mount is not moving any more')
  return { ...mount, path: target, state: 'live' }
}

/** What a caller writes as a mount's path, with or without slashes at its ends. */
function placeOf (raw: string, name: string): Place {
  if (/\s$/.test(raw)) throw invalidRequest(`'${name}' path cannot contain trailing whitespace`)
  const path = withoutSlashes(raw)
  return path.startsWith('auth/') ? { table: 'auth', path: path.slice('auth/'.length) } : { table: 'secret', path }
}

function checkPlaces (from: Place, to: Place): void {
  if (from.table === 'auth' && to.table !== 'auth') {
    throw invalidRequest(`cannot remount auth mount to non-auth mount "${shown(to)}"`)
  }
  if (isOurs(from)) throw invalidRequest(`cannot remount "${shown(from)}"`)
  if (isOurs(to) || from.table !== to.table) throw invalidRequest(`cannot remount to destination ${shown(to)}`)
  try {
    checkMountPath(to.path)
  } catch (error) {
    throw invalidRequest(`invalid destination mount: ${error instanceof BrokerError ? error.message : 'malformed'}`)
  }
}

/** The broker's own mounts stay where they are. */
function isOurs (place: Place): boolean {
  return place.table === 'auth' ? place.path.split('/', 1)[0] === 'token' : isReserved(place)
}

function shown (place: Place): string {
  return requestPrefix(place)
}
