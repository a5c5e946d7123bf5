import { operation, type Operation } from '../core/backend.ts'
import { BrokerError, notFound } from '../core/errors.ts'
import { commaList } from '../core/fields.ts'

export interface EventOptions {
  /** Whether one more stream may begin for a token. */
  readonly hasRoom: (tokenAccessor: string) => boolean
}

/** `sys/events`: what happens, as it happens, as server-sent events. */
export function createEventOperations ({ hasRoom }: EventOptions): Operation[] {
  return [operation({
    verb: 'read',
    path: 'events',
    access: 'capability',
    summary: 'Tells of rotations, tripwires, leases, failed logins and audit trouble as they happen.',
    fields: { types: commaList('Only events of these types') },
    async run ({ token }, { types = [] }) {
      if (token === null) throw notFound()
      if (!hasRoom(token.accessor)) throw new BrokerError('limit_exceeded', 'too many event streams')
      return { kind: 'stream', stream: { tokenAccessor: token.accessor, types: types.length === 0 ? null : types } }
    }
  })]
}
