import { operation, type Operation } from '../../core/backend.ts'
import type { Removal } from './removal.ts'

/** Work that goes on after its request was answered. */
export interface Tidy {
  readonly operations: readonly Operation[]
  /** Resolves when no tidying is under way. */
  idle (): Promise<void>
}

/** `<mount>/tidy/secret-id` (contract 2.3): one at a time for each mount and broker; logins never wait for it. */
export function createTidy (
  { removal, onError }: { removal: Pick<Removal, 'tidy'>, onError: (error: unknown) => void }
): Tidy {
  const running = new Map<string, Promise<void>>()

  function start (mountAccessor: string): void {
    const work = removal.tidy(mountAccessor).catch(onError).finally(() => running.delete(mountAccessor))
    running.set(mountAccessor, work)
  }

  return {
    async idle () { await Promise.all(running.values()) },
    operations: [operation({
      verb: 'write',
      path: 'tidy/secret-id',
      access: 'capability',
      summary: 'Starts removing expired and left-over secret_ids.',
      fields: {},
      async run ({ mount }) {
        if (running.has(mount.accessor)) {
          return { kind: 'data', data: null, warnings: ['Tidy operation already in progress.'] }
        }
        start(mount.accessor)
        const started = 'Tidy operation successfully started. Any information from the operation will be printed to Latchkey\'s server logs.'
        return { kind: 'data', data: null, as: 'accepted', warnings: [started] }
      }
    })]
  }
}
