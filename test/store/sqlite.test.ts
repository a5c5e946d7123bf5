import { randomBytes } from 'node:crypto'
import path from 'node:path'
import t, { type Test } from 'tap'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { storeContract } from '../contract/store.ts'
import { sealed } from './sealed.ts'

function openOne (t: Test) {
  const location = path.join(t.testdir(), 'store', `${randomBytes(4).toString('hex')}.db`)
  const store = openSqliteStore({ location })
  t.teardown(() => store.close())
  return store
}

t.test('the SQLite store keeps the contract', (t) => storeContract(t, async (t) => openOne(t)))

t.test('the SQLite store behind the barrier keeps the contract', (t) => {
  storeContract(t, async (t) => sealed(openOne(t)))
})
