import { operation, type Call, type Operation } from '../core/backend.ts'
import { notFound } from '../core/errors.ts'
import { duration, strictText, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { requestPrefix, type Mount, type Token } from '../core/model.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { Rotator } from '../mounts/rotator.ts'
import type { Waiting } from '../mounts/waiting.ts'
import { findByRequestPath } from './rotation.ts'

export interface ResolverOptions {
  readonly mounts: Pick<MountTable, 'find' | 'byAccessor' | 'presentName'>
  readonly rotator: Pick<Rotator, 'nextAtMs'>
  readonly waiting: Waiting
  readonly now: () => number
  /** Whether a token's policies give any right on a prefix or below it. */
  readonly reaches: (token: Token, prefix: string) => boolean
  /** Whether a token lives; asked again after a wait. */
  readonly isAlive: (accessor: string) => Promise<boolean>
  /** Told of each caller who got an answer. */
  readonly resolved: (mount: Mount, token: Token, address: string) => void
}

/** The longest wait for a change. */
const waitSecondsMax = 60

/**
 * `sys/latchkey/resolve/<path>`: the name of a mount, for those who may use the mount. To others it
 * is as absent as a mount that does not exist (SEC-221). With `known`, the `revision` of an earlier
 * answer, and `wait` it answers when the name changes. There is no ETag: what may be a secret is
 * never answered with 304 (SEC-212).
 */
export function createResolverOperations (options: ResolverOptions): Operation[] {
  const { mounts, rotator, waiting, now, reaches } = options

  function find (token: Token | null, path: string): Mount | null {
    const mount = findByRequestPath(mounts, path)
    return mount !== null && token !== null && reaches(token, requestPrefix(mount)) && mount.state === 'live' ? mount : null
  }

  function describe (mount: Mount): JsonObject {
    const name = mounts.presentName(mount)
    if (name === null) throw notFound()
    const nextAtMs = rotator.nextAtMs(mount, now())
    const rotation = mount.rotation?.enabled === true ? mount.rotation : null
    return {
      path: requestPrefix(mount).slice(0, -1),
      name,
      slot: rotation?.slot ?? null,
      revision: revisionOf(mount),
      remaining_seconds: nextAtMs === null ? null : Math.floor(Math.max(0, nextAtMs - now()) / 1000),
      grace_period: rotation?.graceSeconds ?? null
    }
  }

  /** Waits for another name. Whoever's token or right ended meanwhile learns nothing. */
  async function next ({ token, usesLeft }: Call, mount: Mount, known: string, seconds: number): Promise<Mount | null> {
    const present = () => mounts.byAccessor(mount.accessor)
    const isOver = () => {
      const at = present()
      return at === null || revisionOf(at) !== known
    }
    if (token === null || usesLeft === 0 || isOver()) return present()
    await waiting.wait(token.accessor, Math.min(seconds, waitSecondsMax), isOver)
    const alive = await options.isAlive(token.accessor)
    const at = present()
    return alive && at !== null && reaches(token, requestPrefix(at)) ? at : null
  }

  return [operation({
    verb: 'read',
    path: 'latchkey/resolve/*path',
    access: 'capability',
    summary: 'Tells the present name of a mount to those who may use it.',
    fields: {
      path: text('The mount\'s own path, as `aws` or `auth/approle`'),
      known: strictText('The `revision` of an earlier answer: wait until it is another'),
      wait: duration(`How long to wait for that, at most ${waitSecondsMax} s`)
    },
    async run (call, { path = '', known, wait = 0 }) {
      const { token, request } = call
      const found = find(token, path)
      const mount = found !== null && known !== undefined && wait > 0 ? await next(call, found, known, wait) : found
      if (mount === null || token === null) throw notFound()
      options.resolved(mount, token, request.remoteAddress)
      return { kind: 'data', data: describe(mount) }
    }
  })]
}

/** Changes with the name, and says nothing that the accessor and the slot do not say. */
function revisionOf ({ accessor, rotation }: Mount): string {
  return rotation?.enabled === true ? `${accessor}.${rotation.slot}` : `${accessor}.stable`
}
