import type { AuthMethod, Backend, Engine } from '../core/backend.ts'
import type { OperationTable } from './operation-table.ts'

/** A backend with its table. */
export interface Registered {
  readonly backend: Backend | Engine | AuthMethod
  readonly table: OperationTable
}

/** Finds the backend of a mount by its type. */
export type Backends = (type: string) => Registered | null
