import { operation, type Operation } from '../core/backend.ts'
import { invalidRequest, notFound } from '../core/errors.ts'
import { text } from '../core/fields.ts'
import { ownPath, type Mount } from '../core/model.ts'
import { withoutSlashes } from '../core/path.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import type { NameIndex } from '../mounts/name-index.ts'

export interface NameIndexOperationsOptions {
  readonly index: NameIndex
  readonly mounts: Pick<MountTable, 'find'>
  /** Whether a mount keeps versions of keys. */
  readonly canHold: (mount: Mount) => boolean
}

const path = 'latchkey/secret-paths'

/** `sys/latchkey/secret-paths`: in which mount of keys and values the broker keeps the present names of mounts. */
export function createNameIndexOperations ({ index, mounts, canHold }: NameIndexOperationsOptions): Operation[] {
  return [
    operation({
      verb: 'read',
      path,
      access: 'sudo',
      summary: 'Tells which mount holds the present names of mounts.',
      fields: {},
      async run () {
        const mount = await index.mount()
        if (mount === null) throw notFound()
        return { kind: 'data', data: { mount: ownPath(mount), mount_accessor: mount.accessor } }
      }
    }),
    operation({
      verb: 'write',
      path,
      access: 'sudo',
      summary: 'Has the present names of all mounts that rotate kept in a mount of keys and values.',
      fields: { mount: text('The own path of a kv mount, version 2') },
      async run (_call, { mount: chosen = '' }) {
        const mount = mounts.find('secret', withoutSlashes(chosen))
        if (mount === null || mount.state !== 'live' || !canHold(mount)) {
          throw invalidRequest('mount names a kv mount of version 2 by its own path')
        }
        await index.choose(mount)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete',
      path,
      access: 'sudo',
      summary: 'Removes the names from the mount that held them, and keeps them no more.',
      fields: {},
      async run () {
        await index.end()
        return { kind: 'none' }
      }
    })
  ]
}
