import type { Tree } from '../http/tree.ts'
import type { Facets } from './query.ts'

/** A part of the default network as a Describe call finds and shows it. */
export interface Described {
  readonly id: string
  readonly facets: Facets
  readonly tree: Tree
}
