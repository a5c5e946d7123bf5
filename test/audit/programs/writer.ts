// Writes numbered lines to the standard output and ends.
import { openStdoutDevice } from '../../../src/audit/stdout-device.ts'

const device = openStdoutDevice({ name: 'stdout', fd: 1 })
await Promise.all(Array.from({ length: 2000 }, (_, n) => device.write(`${n} ${'x'.repeat(200)}`)))
await device.close()
