import t from 'tap'
import { createMemoryStore } from '../../src/store/memory.ts'
import { storeContract } from '../contract/store.ts'
import { sealed } from './sealed.ts'

t.test('the memory store keeps the contract', (t) => {
  storeContract(t, async () => createMemoryStore())
})

t.test('the memory store behind the barrier keeps the contract', (t) => {
  storeContract(t, async () => sealed(createMemoryStore()))
})
