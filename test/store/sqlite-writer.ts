import { writeSync } from 'node:fs'
import { openSqliteStore } from '../../src/store/sqlite.ts'

/*
 * A program for sqlite-faults.test.ts: writes pairs of records, 32 commits in flight, and prints the
 * number of each pair after its commit was acknowledged. It goes on until it is killed.
 */
const store = openSqliteStore({ location: String(process.argv[2]) })
let next = 0

async function write (): Promise<never> {
  for (;;) {
    const n = next++
    const value = Buffer.from(`${n}`.padEnd(200, '.'))
    await store.commit([
      { op: 'put', key: `00:left/${n}`, value, names: [`left/${n}`] },
      { op: 'put', key: `00:right/${n}`, value, names: [`right/${n}`] }
    ])
    writeSync(1, `${n}\n`)
  }
}

await Promise.all(Array.from({ length: 32 }, write))
