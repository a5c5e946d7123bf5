import type { Store } from '../../src/core/store.ts'
import { createBarrier } from '../../src/store/barrier.ts'
import { createKeyring, firstTerm } from '../../src/store/keyring.ts'

/** A barrier over a store, under a keyring of its own that nobody stores. */
export function sealed (store: Store): Store {
  return createBarrier({ store, keyring: createKeyring('test-cluster', [firstTerm(0)]) })
}
