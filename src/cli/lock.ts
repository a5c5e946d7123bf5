import { DatabaseSync } from 'node:sqlite'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { ensurePrivateFile } from './private-file.ts'

/** What waiting needs. */
type Waiting = Pick<Parts, 'steady' | 'pause' | 'random'>

const waitMs = 50_000
const SQLITE_BUSY = 5

/**
 * Runs work that no other process does at the same time, by a lock beside `file` that the system
 * lets go of however a process ends.
 *
 * @throws Failure `failed` when others hold it for 50 s.
 */
export async function withLock<T> (file: string, waiting: Waiting, work: () => Promise<T>): Promise<T> {
  const beside = `${file}.lock`
  await ensurePrivateFile(beside)
  const lock = new DatabaseSync(beside, { timeout: 0, allowExtension: false })
  try {
    await take(lock, beside, waiting)
    return await work()
  } finally {
    lock.close()
  }
}

async function take (lock: DatabaseSync, beside: string, { steady, pause, random }: Waiting): Promise<void> {
  const endMs = steady() + waitMs
  for (;;) {
    try {
      lock.exec('pragma journal_mode = memory; begin exclusive')
      return
    } catch (error) {
      if (!isBusy(error)) throw new Failure('usage', `${beside} cannot be locked`, { cause: error })
      if (steady() > endMs) throw new Failure('failed', `another process holds ${beside}`)
      await pause(20 + random(40))
    }
  }
}

function isBusy (error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === SQLITE_BUSY
}
