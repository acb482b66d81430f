"""What the demo electric car puts into each message of firmware/vehicles/demo-ev.dbc, in the DBC's units.

Counters and checksums come on top, in `drive`.
"""

from collections.abc import Callable, Mapping
from math import radians

from host_tools.sim.driver import CHARGE_LIMIT, CHARGING, DRIVE, IDLE, PARK
from host_tools.sim.electric_car import CELLS, MAX_POWER, MAX_TORQUE, NET_CAPACITY_KWH, TRACK, ElectricCar

Values = dict[str, float]


def _motor_state(car: ElectricCar) -> Values:
    mode = 0 if not car.cockpit.ready else 2 if car.cockpit.gear == DRIVE else 1
    limit = min(MAX_TORQUE, MAX_POWER / max(radians(car.rotor_rpm * 6), 1.0))
    return {"Torque": car.torque, "RotorSpeed": car.rotor_rpm, "InverterMode": mode, "TorqueLimit": limit}


def _wheel_speeds(car: ElectricCar) -> Values:
    kmh, apart = car.speed * 3.6, radians(car.yaw_rate) * TRACK / 2 * 3.6
    left, right = max(0.0, kmh - apart), max(0.0, kmh + apart)
    return {"FrontLeft": left, "FrontRight": right, "RearLeft": left, "RearRight": right}


def _vehicle_motion(car: ElectricCar) -> Values:
    return {
        "Speed": car.speed * 3.6,
        "LongitudinalAcceleration": car.acceleration,
        "IsMoving": car.speed > 0,
        "YawRate": car.yaw_rate,
    }


def _driver_controls(car: ElectricCar) -> Values:
    return {
        "AcceleratorPosition": car.accelerator,
        "BrakePosition": car.brake,
        "SteeringWheelAngle": car.steering,
        "BrakePressed": car.brake > 0,
    }


def _gear_state(car: ElectricCar) -> Values:
    parked = car.cockpit.gear == PARK
    return {
        "SelectedGear": car.cockpit.gear,
        "ParkingBrake": parked,
        "ParkLock": parked,
        "DriveReady": car.cockpit.ready,
    }


def _battery_power(car: ElectricCar) -> Values:
    return {"PackVoltage": car.voltage, "PackCurrent": car.current, "PackPower": car.power}


def _battery_charge(car: ElectricCar) -> Values:
    energy = car.soc * NET_CAPACITY_KWH
    return {
        "StateOfCharge": car.soc * 100,
        "StateOfChargeDisplayed": min(100.0, car.soc * 104 - 2),
        "Energy": energy,
        "StateOfHealth": 96.4,
        "Range": energy / 0.16 * 1000,
    }


def _battery_temperatures(car: ElectricCar) -> Values:
    spread = 0.5 + abs(car.current) / 200
    return {
        "Average": car.battery,
        "Coldest": car.battery - spread,
        "Hottest": car.battery + spread,
        "CoolantInlet": car.coolant,
    }


def _cell_voltages(car: ElectricCar) -> Values:
    mean, spread = car.voltage / CELLS, 0.003 + abs(car.current) * 2e-5
    return {"Lowest": mean - spread, "Highest": mean + spread, "LowestId": 41, "HighestId": 7}


def _energy_totals(car: ElectricCar) -> Values:
    return {"Charged": car.charged_kwh, "Consumed": car.consumed_kwh}


def _low_voltage(car: ElectricCar) -> Values:
    charges = (car.low_voltage - 12.8) * 4
    return {
        "BatteryVoltage": car.low_voltage,
        "BatteryCurrent": charges,
        "ConverterCurrent": car.low_current + max(0.0, charges) if car.low_current else 0,
        "ConverterTemperature": car.coolant + car.low_current / 4,
    }


def _body_state(car: ElectricCar) -> Values:
    cockpit, blinks = car.cockpit, car.time % 0.7 < 0.35
    return {
        "DriverDoorOpen": cockpit.door_open,
        "PassengerDoorOpen": False,
        "RearDoorDriverSideOpen": False,
        "RearDoorPassengerSideOpen": False,
        "TrunkOpen": False,
        "DriverDoorLocked": cockpit.locked,
        "PassengerDoorLocked": cockpit.locked,
        "LowBeam": cockpit.ready,
        "IndicatorLeft": cockpit.indicator > 0 and blinks,
        "IndicatorRight": cockpit.indicator < 0 and blinks,
    }


def _climate(car: ElectricCar) -> Values:
    return {"OutsideTemperature": car.outside, "CabinTemperature": car.cabin, "HeaterPower": car.heater}


def _odometer(car: ElectricCar) -> Values:
    return {"Total": car.odometer, "Trip": car.trip}


def _network_state(car: ElectricCar) -> Values:
    return {"NodesAwake": 0xFF if car.cockpit.ready else 0x3C, "WakeReason": 2 if car.cockpit.cable else 3}


def _charger(car: ElectricCar) -> Values:
    cockpit, power = car.cockpit, car.charger_power
    left_kwh = max(0.0, CHARGE_LIMIT - car.soc) * NET_CAPACITY_KWH
    charging = cockpit.charging_state == CHARGING
    return {
        "InletVoltage": car.voltage if cockpit.charging_state != IDLE else 0,
        "InletCurrent": power / car.voltage,
        "IsCharging": charging and power > 0,
        "CableConnected": cockpit.cable,
        "CableLocked": cockpit.charging_state != IDLE,
        "State": cockpit.charging_state,
        "TimeToComplete": left_kwh * 3.6e6 / power if charging and power > 1000 else 0,
        "ChargeLimit": CHARGE_LIMIT * 100,
    }


def _drive_temperatures(car: ElectricCar) -> Values:
    return {"Motor": car.motor, "Coolant": car.coolant, "Inverter": car.inverter}


# how each message of the DBC is filled; counters and checksums come on top
VALUES: Mapping[str, Callable[[ElectricCar], Values]] = {
    "MotorState": _motor_state,
    "WheelSpeeds": _wheel_speeds,
    "VehicleMotion": _vehicle_motion,
    "DriverControls": _driver_controls,
    "GearState": _gear_state,
    "BatteryPower": _battery_power,
    "BatteryCharge": _battery_charge,
    "BatteryTemperatures": _battery_temperatures,
    "CellVoltages": _cell_voltages,
    "EnergyTotals": _energy_totals,
    "LowVoltage": _low_voltage,
    "BodyState": _body_state,
    "Climate": _climate,
    "Odometer": _odometer,
    "NetworkState": _network_state,
    "Charger": _charger,
    "DriveTemperatures": _drive_temperatures,
}
