import os from 'node:os'
import { parseArgs } from 'node:util'
import { measureAudit } from './audit.ts'
import { measureEmulator } from './emulator.ts'
import { measureLeases, type LeaseFigures } from './leases.ts'
import { generatorName } from './load.ts'
import { measureRates, operations, type Rate } from './rates.ts'
import { auditText, leaseTable, rateTable, rotationText, startTable } from './report.ts'
import { measureRotation, measureRotationCost } from './rotation.ts'
import { openSetting, redisSync } from './setting.ts'
import { measureStarts } from './start.ts'
import { benchStores, tableOf } from './store.ts'

const help = `Measures brokers in processes of their own, each figure beside its ceiling. Loopback only.

  --store sqlite|redis|both   both unless given
  --only WORD,WORD            lookup-self kv-read kv-write login vend leases start rotation emulator audit stores;
                              all but stores unless given
  --seconds N                 length of one round of load; 3 unless given
  --rounds N                  rounds of ceiling and broker in turns; 3 unless given
  --leases N                  leases to make and revoke; 100000 unless given
  --quick                     short rounds, 5000 leases, fewer starts: for a glance
`
const parts = [...operations, 'leases', 'start', 'rotation', 'emulator', 'audit']

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'both' },
    only: { type: 'string', default: parts.join(',') },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    leases: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  process.stdout.write(help)
  process.exit(0)
}
const only = new Set(values.only.split(','))
const unknown = [...only].filter((word) => ![...parts, 'stores'].includes(word))
if (unknown.length > 0 || !['sqlite', 'redis', 'both'].includes(values.store)) {
  process.stderr.write(help)
  process.exit(2)
}
const { quick } = values
const stores = (['sqlite', 'redis'] as const).filter((store) => values.store === 'both' || values.store === store)
const seconds = Number(values.seconds ?? (quick ? 1 : 3))
const rounds = Number(values.rounds ?? (quick ? 2 : 3))
const leases = Number(values.leases ?? (quick ? 5000 : 100_000))

const ends: (() => Promise<void> | void)[] = []
const setting = await openSetting({ teardown (end) { ends.unshift(end) } })
const report = (line: string) => { process.stderr.write(`${line}\n`) }
const print = (text: string) => { process.stdout.write(`${text}\n\n`) }
const beganMs = performance.now()

print(`${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores (${os.cpus()[0]?.model.trim()}), ` +
  `load ${os.loadavg()[0]?.toFixed(1)} before, Node ${process.versions.node}, ${generatorName} on the same machine. ` +
  `Audit file on, sync "kernel". SQLite synchronous FULL, Redis appendfsync ${redisSync}.`)

const measured = operations.filter((operation) => only.has(operation))
const rates: Rate[] = []
for (const store of measured.length === 0 ? [] : stores) {
  rates.push(...await measureRates({ setting, store, only: measured, seconds, rounds, report }))
}
if (rates.length > 0) print(rateTable(rates))

const figures: LeaseFigures[] = []
for (const store of only.has('leases') ? stores : []) figures.push(await measureLeases({ setting, store, leases, report }))
if (figures.length > 0) print(leaseTable(figures))

if (only.has('start')) {
  const leasesInStore = quick ? 100_000 : 1_000_000
  print(startTable(await measureStarts({ setting, stores, leasesInStore, tries: quick ? 3 : 5, report })))
}
let misled = 0
if (only.has('rotation')) {
  const figures = await measureRotation(quick ? { clients: 100, rotations: 20, seconds: 12 } : {})
  misled = figures.refused + figures.wrong
  print(rotationText(figures, await measureRotationCost({ setting, leases: 100_000, rotations: quick ? 50 : 200 })))
}
if (only.has('emulator')) {
  const { perSecond, cpuMicros, perSecondOfCpu, errors } = await measureEmulator({ seconds: quick ? 2 : 4 })
  print(`Emulator, signed AssumeRole: ${Math.round(perSecond)}/s as its client saw it, ${Math.round(cpuMicros)} us of CPU each, ` +
    `${Math.round(perSecondOfCpu)}/s on a core of its own (aim: 4,000/s), ${errors} errors.`)
}
if (only.has('audit')) {
  for (const sync of ['none', 'group'] as const) print(auditText(await measureAudit({ sync, tokens: 1000 })))
}
if (only.has('stores')) print(tableOf(await benchStores({ scale: quick ? 0.1 : 0.5 })))

print(`Took ${((performance.now() - beganMs) / 1000).toFixed(0)} s.`)
for (const end of ends) await end()
process.exit(misled > 0 || rates.some(({ broker }) => broker.errors > 0) ? 1 : 0)
