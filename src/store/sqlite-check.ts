import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** The thread behind `SqliteStore.check`: reads every page with a connection of its own. */
function check (location: string): string[] {
  const db = new DatabaseSync(location, { readOnly: true, defensive: true, timeout: 1000 })
  try {
    const rows = db.prepare('pragma quick_check(20)').all()
    return rows.flatMap((row) => Object.values(row)).map(String).filter((line) => line !== 'ok')
  } catch (error) {
    return [error instanceof Error ? error.message : 'the file cannot be read']
  } finally {
    db.close()
  }
}

parentPort?.postMessage(check(String(workerData)))
