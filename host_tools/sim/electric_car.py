"""The demo electric car as a physical thing. Its driver is in `driver`; `drive` turns its state into frames.

A point mass with drag, rolling resistance, slopes and regeneration; a battery with an open-circuit voltage and an
inner resistance, whose charge integrates the current; lumped heat capacities. SI units inside, unless a name says
otherwise. Currents and powers of the battery are positive into it, as in VSS.
"""

from math import pi, sin, sqrt
from random import Random

from host_tools.sim.driver import ACCELERATION, CHARGE_LIMIT, CHARGING, DRIVE, IDLE, STEP, Cockpit, script

MASS, ROTATING_MASS, GRAVITY = 1750.0, 70.0, 9.81
DRAG_AREA, AIR_DENSITY, ROLLING = 0.64, 1.2, 0.0095
WHEEL_RADIUS, GEAR_RATIO, WHEELBASE, TRACK, STEERING_RATIO = 0.33, 9.0, 2.7, 1.6, 15.0
EFFICIENCY, MAX_POWER, MAX_REGENERATION, MAX_TORQUE = 0.92, 130e3, 65e3, 380.0
BRAKING, CREEP = 2.6, 0.06

CELLS, CAPACITY_AH, RESISTANCE = 96, 180.0, 0.085
CELL_EMPTY, CELL_FULL = 3.35, 4.1
NET_CAPACITY_KWH = CELLS * (CELL_EMPTY + CELL_FULL) / 2 * CAPACITY_AH / 1000
CHARGE_POWER, CHARGE_TAPER_FROM, CHARGE_POWER_AT_LIMIT = 90e3, 0.55, 25e3

BATTERY_HEAT, MOTOR_HEAT, INVERTER_HEAT, COOLANT_HEAT, CABIN_HEAT = 3.2e5, 3.5e4, 7e3, 3e4, 6e4  # J/K


class ElectricCar:
    """The car's state, moved on by `step`. The same `rng` state gives the same drive."""

    def __init__(self, rng: Random):
        self.cockpit = Cockpit()
        self.time = 0.0
        self.speed = self.acceleration = self.distance = self.trip = 0.0
        self.odometer = 18_250_000.0 + rng.randrange(1_000_000)
        self.soc = rng.uniform(0.55, 0.7)
        self.current = self.power = self.torque = 0.0
        self.voltage = self.open_voltage
        self.charged_kwh, self.consumed_kwh = 4210.0, 3870.0
        self.outside = rng.uniform(4.0, 24.0)
        self.battery = self.motor = self.inverter = self.coolant = self.cabin = self.outside
        self.accelerator = self.brake = self.steering = self.yaw_rate = 0.0
        self.charger_power = self.heater = self.low_current = 0.0
        self.low_voltage = 12.6
        self._drive_power = 0.0
        self._hills = [_hill(rng) for _ in range(3)]
        self._driver = script(self.cockpit, rng)

    def step(self) -> None:
        """Moves everything on by STEP."""
        self.cockpit.speed, self.cockpit.soc = self.speed, self.soc
        next(self._driver)
        if self.cockpit.begins_trip:
            self.trip = 0.0
        self.time += STEP
        self._move(self._motor_force())
        self._steer()
        self._low_voltage()
        self._battery()
        self._heat()

    @property
    def open_voltage(self) -> float:
        """Of the pack without a load, V."""
        return CELLS * (CELL_EMPTY + (CELL_FULL - CELL_EMPTY) * self.soc)

    @property
    def rotor_rpm(self) -> float:
        """Of the motor."""
        return self.speed / WHEEL_RADIUS * GEAR_RATIO * 30 / pi

    @property
    def slope(self) -> float:
        """Of the road here, m/m."""
        return sum(height * sin(self.distance / length + phase) for height, length, phase in self._hills)

    def _motor_force(self) -> float:
        """The force of the motor at the road, from what the driver wants; brakes take what regeneration cannot."""
        wanted = 0.55 * (self.cockpit.target_speed - self.speed)
        wanted = max(-BRAKING, min(ACCELERATION, wanted))
        self.acceleration += (wanted - self.acceleration) * STEP / 0.35
        drag = 0.5 * AIR_DENSITY * DRAG_AREA * self.speed**2 + MASS * GRAVITY * (ROLLING + self.slope)
        force = (MASS + ROTATING_MASS) * self.acceleration + (drag if self.speed else 0.0)
        strongest = min(MAX_TORQUE * GEAR_RATIO / WHEEL_RADIUS, MAX_POWER / max(self.speed, 1.0))
        if force > strongest:
            self.acceleration -= (force - strongest) / (MASS + ROTATING_MASS)
            force = strongest
        # regeneration fades out towards standstill
        weakest = -min(6000.0, MAX_REGENERATION / max(self.speed, 1.0)) * min(1.0, self.speed / 3.0)
        self.accelerator = 100 * max(0.0, force) / strongest
        self.brake = max(0.0, min(100.0, (weakest - force) / 80.0))
        return max(force, weakest)

    def _move(self, force: float) -> None:
        self.speed += self.acceleration * STEP
        if self.speed < CREEP and self.cockpit.target_speed == 0:
            self.speed = self.acceleration = force = 0.0
            self.brake = 20.0 if self.cockpit.gear == DRIVE else 0.0
        self.speed = max(0.0, self.speed)
        self.distance += self.speed * STEP
        self.odometer += self.speed * STEP
        self.trip += self.speed * STEP
        self.torque = force * WHEEL_RADIUS / GEAR_RATIO
        mechanical = force * self.speed
        self._drive_power = mechanical / EFFICIENCY if mechanical > 0 else mechanical * EFFICIENCY

    def _steer(self) -> None:
        wanted = self.cockpit.turn + 6 * sin(self.distance / 40)
        self.steering += max(-3.5, min(3.5, wanted - self.steering)) * (self.speed > 0)
        self.yaw_rate = (
            self.speed * self.steering / STEERING_RATIO / WHEELBASE
        )  # small angles: degrees stay degrees

    def _low_voltage(self) -> None:
        """12 V comes from the DC/DC converter as soon as the high voltage is on."""
        is_on = self.cockpit.ready or self.cockpit.charging_state != IDLE
        self.heater = (350 + 110 * abs(21 - self.cabin)) if is_on else 0.0
        self.low_current = 21 + 6 * (self.brake > 0) + 4 * bool(self.cockpit.indicator) if is_on else 0.0
        wanted = 14.35 - 0.004 * self.low_current if is_on else 12.62
        self.low_voltage += (wanted - self.low_voltage) * STEP / 0.4

    def _battery(self) -> None:
        self._charge()
        auxiliary = self.heater + self.low_current * self.low_voltage / EFFICIENCY
        out = self._drive_power + auxiliary - self.charger_power
        # out = voltage * current and voltage = open - resistance * current
        opened = self.open_voltage
        drawn = (opened - sqrt(opened**2 - 4 * RESISTANCE * out)) / (2 * RESISTANCE)
        self.current, self.voltage = -drawn, opened - RESISTANCE * drawn
        self.power = self.voltage * self.current
        self.soc += self.current * STEP / (CAPACITY_AH * 3600)
        kwh = self.power * STEP / 3.6e6
        self.charged_kwh += max(0.0, kwh)
        self.consumed_kwh += max(0.0, -kwh)

    def _charge(self) -> None:
        wanted = 0.0
        if self.cockpit.charging_state == CHARGING:
            taper = max(0.0, (self.soc - CHARGE_TAPER_FROM) / (CHARGE_LIMIT - CHARGE_TAPER_FROM))
            wanted = CHARGE_POWER - (CHARGE_POWER - CHARGE_POWER_AT_LIMIT) * min(1.0, taper)
        self.charger_power += max(-60e3 * STEP, min(15e3 * STEP, wanted - self.charger_power))

    def _heat(self) -> None:
        loss = abs(self._drive_power) * (1 - EFFICIENCY)
        to_air = 35 + 12 * self.speed
        self.battery += (
            STEP / BATTERY_HEAT * (self.current**2 * RESISTANCE - 60 * (self.battery - self.coolant))
        )
        self.motor += STEP / MOTOR_HEAT * (0.7 * loss - 55 * (self.motor - self.coolant))
        self.inverter += STEP / INVERTER_HEAT * (0.3 * loss - 45 * (self.inverter - self.coolant))
        flows = 55 * (self.motor - self.coolant) + 45 * (self.inverter - self.coolant)
        flows += 60 * (self.battery - self.coolant) - to_air * (self.coolant - self.outside)
        self.coolant += STEP / COOLANT_HEAT * flows
        warms = self.heater * 2.5 * (1 if self.cabin < 21 else -1) - 45 * (self.cabin - self.outside)
        self.cabin += STEP / CABIN_HEAT * warms


def _hill(rng: Random) -> tuple[float, float, float]:
    """Steepness, length (m) and phase of one wave of the road."""
    return rng.uniform(0.004, 0.012), rng.uniform(200, 1500), rng.uniform(0, 2 * pi)
