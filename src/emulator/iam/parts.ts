import type { Judge } from '../judge.ts'
import type { RandomSource } from '../state/random.ts'
import type { Vault } from '../state/vault.ts'
import type { World } from '../state/world.ts'

/** What IAM operations need. */
export interface IamParts {
  readonly world: World
  readonly judge: Judge
  readonly vault: Vault
  readonly random: RandomSource
}
